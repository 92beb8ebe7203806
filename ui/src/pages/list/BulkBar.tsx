import { Button, Menu, Stack, Text } from '@mantine/core';
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';
import { IconEdit, IconPlayerPlay, IconTrash } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { asProblem, freshKey } from '../../api/client';
import { bulk, documentKeys, type BulkResult } from '../../api/documents';
import { may, soleReference, useCatalogue, type Catalogue } from '../../api/meta';
import { callMany } from '../../api/runs';
import type { JsonObject, ModelMeta, OperationMeta, Scalar } from '../../api/types';
import { enumTitle } from '../../display/enums';
import { writable } from '../../display/model';
import classes from './List.module.css';

interface Work {
  run: (key: string) => Promise<BulkResult[]>;
}

/** What this caller may do with many documents of the model at once. */
function bulkActions(catalogue: Catalogue, model: ModelMeta) {
  const operations = catalogue.operationsOn(model).filter((operation) => soleReference(operation, model) !== null);
  const settable = may(model, 'patch') ? writable(model, false).filter((node) => node.kind === 'enum' || node.kind === 'boolean') : [];
  return { operations, settable };
}

export function selectable(catalogue: Catalogue, model: ModelMeta): boolean {
  const { operations, settable } = bulkActions(catalogue, model);
  return operations.length + settable.length > 0 || may(model, 'delete');
}

/** What can be done with all that is selected: deleting, setting a field of few values, calling an operation on each. */
export function BulkBar({ model, ids, clear }: { model: ModelMeta; ids: string[]; clear: () => void }) {
  const { t } = useTranslation();
  const { work, busy } = useWork(model, clear);
  const { operations, settable } = bulkActions(useCatalogue(), model);
  const remove = () =>
    modals.openConfirmModal({
      title: t('list.deleteAsk', { count: ids.length }),
      children: t('list.deleteDetail'),
      labels: { confirm: t('list.delete'), cancel: t('common.cancel') },
      confirmProps: { color: 'red' },
      onConfirm: () => work({ run: (key) => bulk(model, { delete: ids }, key) }),
    });
  const set = (name: string, value: Scalar) =>
    work({ run: (key) => bulk(model, { patch: ids.map((id) => ({ id, changes: { [name]: value } })) }, key) });
  const call = (operation: OperationMeta) => {
    const name = soleReference(operation, model);
    if (name === null) return;
    const inputs: JsonObject[] = ids.map((id) => ({ [name]: id }));
    work({ run: (key) => callMany(operation, inputs, key) });
  };
  return (
    <div className={classes.bulk} role="region" aria-label={t('list.selected', { count: ids.length })}>
      <b>{t('list.selected', { count: ids.length })}</b>
      {operations.length > 0 && (
        <Menu position="bottom-start">
          <Menu.Target>
            <Button variant="default" size="xs" loading={busy} leftSection={<IconPlayerPlay size={14} aria-hidden />}>
              {t('list.run')}
            </Button>
          </Menu.Target>
          <Menu.Dropdown mah={360} style={{ overflowY: 'auto' }}>
            {operations.map((operation) => (
              <Menu.Item key={operation.name} onClick={() => call(operation)}>
                {operation.title}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {settable.length > 0 && (
        <Menu position="bottom-start">
          <Menu.Target>
            <Button variant="default" size="xs" loading={busy} leftSection={<IconEdit size={14} aria-hidden />}>
              {t('list.set')}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {settable.map((node) => (
              <div key={node.name}>
                <Menu.Label>{node.title}</Menu.Label>
                {(node.kind === 'boolean' ? [true, false] : node.values).map((value) => (
                  <Menu.Item key={String(value)} onClick={() => set(node.name, value)}>
                    {typeof value === 'boolean' ? t(value ? 'common.yes' : 'common.no') : enumTitle(value)}
                  </Menu.Item>
                ))}
              </div>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {may(model, 'delete') && (
        <Button variant="default" size="xs" color="red" loading={busy} leftSection={<IconTrash size={14} aria-hidden />} onClick={remove}>
          {t('list.delete')}
        </Button>
      )}
      <Button variant="subtle" size="xs" onClick={clear}>
        {t('common.clear')}
      </Button>
    </div>
  );
}

function useWork(model: ModelMeta, clear: () => void): { work: (work: Work) => void; busy: boolean } {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { mutate, isPending } = useMutation({
    mutationFn: ({ run }: Work) => run(freshKey()),
    onSuccess: (results) => {
      const refused = results.filter((result) => result.problem !== undefined);
      notifications.show({
        color: refused.length > 0 ? 'orange' : 'green',
        message: t('list.bulkDone', { done: results.length - refused.length, all: results.length }),
      });
      if (refused.length > 0) showRefused(t('list.bulkFailed', { count: refused.length }), refused);
      clear();
    },
    onError: (error) => notifications.show({ color: 'red', message: asProblem(error).detail }),
    onSettled: () => client.invalidateQueries({ queryKey: documentKeys.model(model.name) }),
  });
  return { work: mutate, busy: isPending };
}

function showRefused(title: string, refused: BulkResult[]): void {
  const counted = new Map<string, number>();
  for (const { problem } of refused) {
    const reason = problem?.detail ?? '';
    counted.set(reason, (counted.get(reason) ?? 0) + 1);
  }
  modals.open({
    title,
    children: (
      <Stack gap={6}>
        {[...counted].map(([reason, count]) => (
          <Text key={reason} size="sm">
            {count > 1 ? `${count} × ` : ''}
            {reason}
          </Text>
        ))}
      </Stack>
    ),
  });
}
