import { Button } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem, freshKey } from '../../api/client';
import { useCatalogue } from '../../api/meta';
import { call, runsQuery, type Outcome } from '../../api/runs';
import type { OperationMeta } from '../../api/types';
import { ask } from '../../components/Ask';
import { Chip } from '../../components/Chip';
import { duration } from '../../components/format';
import { Page, Panel } from '../../components/Page';
import table from '../../display/Table.module.css';
import { FormErrors } from '../../input/FormErrors';
import { prefilled } from '../../input/prefill';
import { Fields } from '../../input/Structure';
import { useForm } from '../../input/useForm';
import { tree } from '../../schema/tree';
import { initialObject, sent } from '../../schema/values';
import { NotFound } from '../NotFound';
import { RunTable } from '../runs/RunTable';
import { CopyMenu } from './CopyMenu';
import classes from './Operations.module.css';
import { Result } from './Result';

const RECENT = 5;

export function OperationPage() {
  const { name } = useParams({ from: '/operations/$name' });
  const operation = useCatalogue().operation(name);
  const search = useSearch({ from: '/operations/$name' });
  if (operation === undefined) return <NotFound what="operation" />;
  return <Operation key={`${name} ${JSON.stringify(search)}`} operation={operation} />;
}

function Operation({ operation }: { operation: OperationMeta }) {
  const { t } = useTranslation();
  const search = useSearch({ from: '/operations/$name' });
  const nodes = useMemo(() => tree(operation.input, operation.fields), [operation]);
  const [form, attach] = useForm(nodes, { ...initialObject(nodes), ...prefilled(nodes, search) });
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const key = useRef(freshKey());
  const mayCall = operation.may.includes('call');
  const input = sent(nodes, form.value);
  const seesRuns = useCatalogue().mayRuns('list');
  const recent = useQuery({ ...runsQuery(`name=${encodeURIComponent(operation.name)}&limit=${RECENT}`), enabled: seesRuns });

  const run = async () => {
    setBusy(true);
    setOutcome(null);
    try {
      setOutcome(await call(operation, input, key.current));
      form.reset(form.value);
      key.current = freshKey();
    } catch (error) {
      if (!asProblem(error).passing) key.current = freshKey();
      form.fail(error);
    } finally {
      setBusy(false);
      if (seesRuns) void recent.refetch();
    }
  };
  const submit = () => {
    if (busy || !mayCall || !form.check()) return;
    if (operation.ui.confirm === undefined && operation.ui.danger !== true) {
      void run();
      return;
    }
    ask({
      title: t('operation.confirm', { title: operation.title }),
      detail: operation.ui.confirm ?? operation.description.split('\n\n')[0] ?? '',
      confirm: t('operation.run'),
      cancel: t('common.cancel'),
      danger: operation.ui.danger === true,
      then: () => void run(),
    });
  };

  return (
    <Page
      title={operation.title}
      crumbs={[
        <Link key="all" to="/operations">
          {t('operation.title')}
        </Link>,
        operation.title,
      ]}
      below={
        <>
          {operation.description.split('\n\n')[0]} <code>{operation.name}</code>
        </>
      }
    >
      <div className={classes.columns}>
        <Panel>
          <form
            ref={attach}
            noValidate
            aria-label={operation.title}
            onSubmit={(event) => {
              event.preventDefault();
              submit();
            }}
          >
            <FormErrors form={form} />
            {nodes.length === 0 && <p className="dimmed">{t('operation.noInput')}</p>}
            <Fields nodes={nodes} value={form.value} onChange={form.setValue} pointer="" errors={form.errors} disabled={busy} />
            <div className={classes.footer}>
              <CopyMenu operation={operation} input={input} />
              <Button
                type="submit"
                loading={busy}
                disabled={!mayCall}
                leftSection={<IconPlayerPlay size={15} aria-hidden />}
                {...(operation.ui.danger ? { color: 'red' } : {})}
              >
                {t('operation.run')}
              </Button>
            </div>
            {!mayCall && <p className="dimmed">{t('operation.mayNot')}</p>}
          </form>
        </Panel>
        <div className={classes.side}>
          <Panel title={t('operation.result')}>
            {outcome === null ? <p className="dimmed">{t('operation.noResult')}</p> : <Result operation={operation} outcome={outcome} />}
          </Panel>
          <About operation={operation} />
          {seesRuns && (
            <Panel title={t('operation.recent')} flush>
              {(recent.data?.runs.length ?? 0) === 0 ? (
                <p className={table.none}>{t('operation.noRecent')}</p>
              ) : (
                <RunTable runs={recent.data?.runs ?? []} compact />
              )}
            </Panel>
          )}
        </div>
      </div>
    </Page>
  );
}

function About({ operation }: { operation: OperationMeta }) {
  const { t } = useTranslation();
  const rows: [string, string | string[] | null][] = [
    [t('operation.reads'), operation.reads],
    [t('operation.writes'), operation.writes],
    [t('operation.adds'), operation.adds],
    [t('operation.undoneBy'), operation.compensate],
    [t('operation.undoes'), operation.undoes],
    [t('operation.retries'), operation.retries > 0 ? String(operation.retries) : null],
    [t('operation.timeout'), operation.timeout === null ? null : duration(operation.timeout * 1000)],
  ];
  const said = rows.filter(([, value]) => value !== null && (!Array.isArray(value) || value.length > 0));
  return (
    <Panel
      title={t('operation.about')}
      aside={
        <>
          {operation.pivot && <Chip colour="orange">{t('operation.pivot')}</Chip>}
          {operation.gate !== null && <Chip>{t('operation.gate')}</Chip>}
        </>
      }
    >
      <dl className={classes.pairs}>
        {said.map(([name, value]) => (
          <Pair key={name} name={name} value={value} />
        ))}
      </dl>
    </Panel>
  );
}

function Pair({ name, value }: { name: string; value: string | string[] | null }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{Array.isArray(value) ? value.join(', ') : value}</dd>
    </>
  );
}
