import { Button, Modal, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconBolt, IconPlayerStop, IconRefresh } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem } from '../../api/client';
import { useCatalogue } from '../../api/meta';
import { act, isLive, runKeys, type RunAction } from '../../api/runs';
import type { JsonObject, RunWithSteps } from '../../api/types';
import { isObject } from '../../schema/values';
import classes from './Runs.module.css';

const SENT = { cancel: 'run.cancelSent', retry: 'run.retrySent', wake: 'run.wakeSent' } as const;

/** What can be done with a run as it is, as far as this caller may. */
export function RunActions({ run }: { run: RunWithSteps }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const navigate = useNavigate();
  const client = useQueryClient();
  const [asked, { open, close }] = useDisclosure(false);
  const [reason, setReason] = useState('');
  const { mutate, isPending } = useMutation({
    mutationFn: ({ action, body }: { action: RunAction; body?: JsonObject }) => act(run.id, action, body),
    onSuccess: async (next, { action }) => {
      notifications.show({ message: t(SENT[action]) });
      await client.invalidateQueries({ queryKey: runKeys.all });
      if (next.id !== run.id) await navigate({ to: '/runs/$id', params: { id: next.id } });
    },
    onError: (error) => notifications.show({ color: 'red', title: t('problem.title'), message: asProblem(error).detail }),
  });
  const may = (action: RunAction) => catalogue.mayRuns(action);
  const retryable = ['failed', 'compensated', 'stopped', 'cancelled'].includes(run.state) && run.retried_by === null;
  const waiting = run.state === 'waiting' || run.steps.some((step) => step.state === 'waiting');
  return (
    <div className={classes.actions}>
      {waiting && may('wake') && (
        <Button variant="default" loading={isPending} leftSection={<IconBolt size={15} aria-hidden />} onClick={() => mutate({ action: 'wake' })}>
          {t('run.wake')}
        </Button>
      )}
      {isLive(run.state) && may('cancel') && (
        <Button variant="default" disabled={run.state === 'cancelling'} leftSection={<IconPlayerStop size={15} aria-hidden />} onClick={open}>
          {t('run.cancel')}
        </Button>
      )}
      {retryable && run.kind === 'flow' && may('retry') && (
        <>
          <Button variant="default" onClick={() => void navigate({ to: '/flows/$name/start', params: { name: run.name }, search: { ...asSearch(run), retry: run.id } })}>
            {t('run.retryEdited')}
          </Button>
          <Button loading={isPending} leftSection={<IconRefresh size={15} aria-hidden />} onClick={() => mutate({ action: 'retry' })}>
            {t('run.retry')}
          </Button>
        </>
      )}
      <Modal opened={asked} onClose={close} title={t('run.cancelAsk')}>
        <p>{t('run.cancelDetail')}</p>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            close();
            mutate({ action: 'cancel', body: reason === '' ? {} : { reason } });
          }}
        >
          <TextInput label={t('run.cancelReason')} value={reason} onChange={(event) => setReason(event.currentTarget.value)} data-autofocus />
          <div className={classes.actions} style={{ justifyContent: 'flex-end', marginTop: 16 }}>
            <Button variant="default" onClick={close}>
              {t('common.close')}
            </Button>
            <Button type="submit" color="red">
              {t('run.cancel')}
            </Button>
          </div>
        </form>
      </Modal>
    </div>
  );
}

/** A run's input as an address, to begin another with it. */
function asSearch(run: RunWithSteps): Record<string, string> {
  if (!isObject(run.input)) return {};
  return Object.fromEntries(
    Object.entries(run.input)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
