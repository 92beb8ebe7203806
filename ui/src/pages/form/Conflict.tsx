import { Button } from '@mantine/core';
import { IconGitMerge } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Document, JsonObject } from '../../api/types';
import table from '../../display/Table.module.css';
import { Value } from '../../display/Value';
import type { Node } from '../../schema/tree';
import { same } from '../../schema/values';
import classes from './Form.module.css';

interface ConflictProps {
  nodes: readonly Node[];
  base: Document;
  yours: JsonObject;
  theirs: Document;
  take: () => void;
  keep: () => void;
}

/** Somebody else was faster: what they made of each field, beside what is written here, and a choice. */
export function Conflict({ nodes, base, yours, theirs, take, keep }: ConflictProps) {
  const { t } = useTranslation();
  const place = useRef<HTMLElement>(null);
  useEffect(() => place.current?.focus(), []);
  const differing = nodes.filter((node) => !same(yours[node.name] ?? null, theirs[node.name] ?? null));
  return (
    <section ref={place} className={classes.conflict} role="alert" tabIndex={-1} aria-label={t('form.conflict')}>
      <h2>
        <IconGitMerge size={18} aria-hidden />
        {t('form.conflict')}
      </h2>
      <p>{t('form.conflictDetail', { theirs: theirs.version ?? '', yours: base.version ?? '' })}</p>
      {differing.length > 0 && (
        <div className={table.scroll}>
        <table className={table.table}>
          <thead>
            <tr>
              <th>{t('form.conflictField')}</th>
              <th>{t('form.conflictYours')}</th>
              <th>{t('form.conflictTheirs')}</th>
            </tr>
          </thead>
          <tbody>
            {differing.map((node) => (
              <tr key={node.name}>
                <td>{node.title}</td>
                {same(yours[node.name] ?? null, base[node.name] ?? null) ? (
                  <td className="dimmed">{t('form.conflictUntouched')}</td>
                ) : (
                  <td data-yours>
                    <Value node={node} value={yours[node.name] ?? null} within={yours} />
                  </td>
                )}
                <td>
                  <Value node={node} value={theirs[node.name] ?? null} within={theirs} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        </div>
      )}
      <div className={classes.buttons}>
        <Button variant="default" onClick={take}>
          {t('form.conflictTake')}
        </Button>
        <Button variant="default" onClick={keep}>
          {t('form.conflictKeep')}
        </Button>
      </div>
    </section>
  );
}
