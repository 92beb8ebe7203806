import { TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../../api/meta';
import type { OperationMeta } from '../../api/types';
import { Icon } from '../../components/Icon';
import { Page, Panel } from '../../components/Page';
import { Empty } from '../../components/States';
import { words } from '../../schema/tree';
import classes from './Operations.module.css';

/** Everything that can be run, group by group. */
export function OperationsPage() {
  const { t } = useTranslation();
  const { meta } = useCatalogue();
  const [text, setText] = useState('');
  const wanted = text.trim().toLowerCase();
  const groups = new Map<string, OperationMeta[]>();
  for (const operation of meta.operations) {
    if (!operation.may.includes('call') || operation.ui.hidden === true) continue;
    if (!`${operation.title} ${operation.name}`.toLowerCase().includes(wanted)) continue;
    groups.set(operation.group, [...(groups.get(operation.group) ?? []), operation]);
  }
  return (
    <Page
      title={t('operation.title')}
      actions={
        <TextInput
          type="search"
          leftSection={<IconSearch size={15} aria-hidden />}
          placeholder={t('operation.search')}
          aria-label={t('operation.search')}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      }
    >
      <div className={classes.groups}>
        {groups.size === 0 && <Empty title={t('operation.noMatch')} />}
        {[...groups].map(([group, operations]) => (
          <Panel
            key={group}
            flush
            title={
              <>
                {words(group.split('.').at(-1) ?? group)}
                <code>{group}</code>
              </>
            }
          >
            <ul className={classes.catalogue}>
              {operations.map((operation) => (
                <li key={operation.name}>
                  <Link to="/operations/$name" params={{ name: operation.name }} search={{}} className={classes.entry}>
                    <Icon name={operation.ui.icon ?? 'play'} />
                    <div>
                      <b>{operation.title}</b>
                      <p>{operation.description.split('\n\n')[0]}</p>
                    </div>
                  </Link>
                </li>
              ))}
            </ul>
          </Panel>
        ))}
      </div>
    </Page>
  );
}
