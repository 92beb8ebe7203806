import { ActionIcon, Button, Group, Menu, TextInput } from '@mantine/core';
import { IconBookmark, IconTrash } from '@tabler/icons-react';
import { useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { ModelMeta } from '../../api/types';
import { parseState, toSearch, type ListState } from './state';
import { useViews } from './useStored';

/** Lists that this browser remembers by name. */
export function ViewsMenu({ model, state, go }: { model: ModelMeta; state: ListState; go: (next: Partial<ListState>) => void }) {
  const { t } = useTranslation();
  const [views, setViews] = useViews(model);
  const [name, setName] = useState('');
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    const called = name.trim();
    if (called === '') return;
    const search = toSearch({ ...state, page: 1 }, model) as Record<string, string | string[]>;
    setViews([...views.filter((view) => view.name !== called), { name: called, search }]);
    setName('');
  };
  return (
    <Menu width={260} closeOnItemClick>
      <Menu.Target>
        <Button variant="default" leftSection={<IconBookmark size={15} aria-hidden />}>
          {t('list.views')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {views.length === 0 && <Menu.Label>{t('list.noViews')}</Menu.Label>}
        {views.map((view) => (
          <Group key={view.name} gap={4} wrap="nowrap">
            <Menu.Item onClick={() => go(parseState(view.search, model))}>{view.name}</Menu.Item>
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={t('list.deleteView', { name: view.name })}
              onClick={() => setViews(views.filter((each) => each !== view))}
            >
              <IconTrash size={15} aria-hidden />
            </ActionIcon>
          </Group>
        ))}
        <Menu.Divider />
        <form onSubmit={save}>
          <Group gap={6} p={6} wrap="nowrap">
            <TextInput
              size="xs"
              flex={1}
              placeholder={t('list.saveView')}
              aria-label={t('list.viewName')}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              onKeyDown={(event) => event.stopPropagation()}
            />
            <Button type="submit" size="xs" variant="default" disabled={name.trim() === ''}>
              {t('list.save')}
            </Button>
          </Group>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}
