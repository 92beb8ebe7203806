import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../../api/meta';
import { isLive, runQuery } from '../../api/runs';
import type { RunWithSteps } from '../../api/types';
import { Copy } from '../../components/Copy';
import { clock, duration } from '../../components/format';
import { useNow } from '../../components/hooks';
import { JsonView } from '../../components/JsonView';
import { Page, Panel } from '../../components/Page';
import { StateChip } from '../../components/RunState';
import { ProblemState, SkeletonRows } from '../../components/States';
import { Ago } from '../../components/Time';
import { words } from '../../schema/tree';
import { NotFound } from '../NotFound';
import { figures, logOf, type Bar } from './figures';
import { Gantt } from './Gantt';
import { Reason } from './Reason';
import { RunActions } from './RunActions';
import classes from './Runs.module.css';
import { Said, StepDrawer } from './StepDrawer';
import { Subject } from './Subject';

const FlowGraph = lazy(async () => ({ default: (await import('../flow/FlowGraph')).FlowGraph }));

/** While a run is live it is read again now and then, should an event be missed. */
const LOOK_AGAIN = 5000;

export function RunPage() {
  return useCatalogue().mayRuns('get') ? <OneRun /> : <NotFound what="run" />;
}

function OneRun() {
  const { t } = useTranslation();
  const { id } = useParams({ from: '/runs/$id' });
  const { data, error, refetch } = useQuery({
    ...runQuery(id),
    refetchInterval: (query) => (query.state.data !== undefined && isLive(query.state.data.state) ? LOOK_AGAIN : false),
  });
  if (data !== undefined) return <Loaded key={id} run={data} />;
  return (
    <Page title={t('runs.run')} crumbs={[<RunsLink key="runs" />, id]}>
      <Panel>{error === null ? <SkeletonRows /> : <ProblemState error={error} retry={() => void refetch()} />}</Panel>
    </Page>
  );
}

function RunsLink() {
  const { t } = useTranslation();
  return (
    <Link to="/runs" search={{}}>
      {t('runs.title')}
    </Link>
  );
}

function Loaded({ run }: { run: RunWithSteps }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const now = useNow(isLive(run.state));
  const plan = run.kind === 'flow' ? catalogue.flow(run.name)?.plan : undefined;
  const titled = (operation: string) => catalogue.operation(operation)?.title ?? words(operation.split('.').at(-1) ?? operation);
  const found = figures(run, plan, titled, now);
  const [opened, setOpened] = useState<string | null>(null);
  const bar = found.bars.find((each) => each.key === opened) ?? null;
  const title = catalogue.titleOf(run.kind, run.name);
  const open = (each: Bar) => setOpened(each.key);
  return (
    <Page
      title={title}
      crumbs={[<RunsLink key="runs" />, run.id]}
      beside={
        <>
          <StateChip state={run.state} />
          <Subject run={run} />
          <Copy value={run.id} what={run.id} />
        </>
      }
      below={<Lineage run={run} />}
      actions={<RunActions run={run} />}
    >
      <Reason run={run} titled={titled} />
      <div className={classes.stack}>
        <Panel>
          <dl className={classes.figures}>
            <Figure name={t('run.wall')} value={found.wall === null ? t('common.none') : duration(found.wall)} />
            <Figure name={t('run.oneByOne')} value={duration(found.oneByOne)} />
            {found.saved !== null && <Figure name={t('run.saved')} value={`${found.saved} %`} />}
            <Figure name={t('run.steps')} value={`${found.done}/${found.all}`} />
          </dl>
        </Panel>
        <Panel flush>
          <Tabs defaultValue="timeline" keepMounted={false}>
            <Tabs.List px={12} mb={8}>
              <Tabs.Tab value="timeline">{t('run.timeline')}</Tabs.Tab>
              {plan && <Tabs.Tab value="graph">{t('run.graph')}</Tabs.Tab>}
            </Tabs.List>
            <Tabs.Panel value="timeline">
              <Gantt figures={found} open={open} />
            </Tabs.Panel>
            {plan && (
              <Tabs.Panel value="graph">
                <Suspense fallback={<SkeletonRows rows={8} />}>
                  <FlowGraph plan={plan} titled={titled} bars={found.bars} open={(operation) => setOpened(keyOf(found.bars, operation))} />
                </Suspense>
              </Tabs.Panel>
            )}
          </Tabs>
        </Panel>
        <Panel title={t('run.log')} flush>
          <Log run={run} titled={titled} />
        </Panel>
        <div className={classes.halves}>
          <Panel title={t('run.input')}>
            <JsonView value={run.input} label={t('run.input')} />
          </Panel>
          <Panel title={t('run.output')}>
            <JsonView value={run.output} label={t('run.output')} />
          </Panel>
        </div>
      </div>
      <StepDrawer bar={bar} plan={plan} titled={titled} close={() => setOpened(null)} />
    </Page>
  );
}

function keyOf(bars: readonly Bar[], operation: string): string | null {
  return bars.find((bar) => bar.operation === operation && !bar.compensation)?.key ?? null;
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Lineage({ run }: { run: RunWithSteps }) {
  const { t } = useTranslation();
  return (
    <>
      <Ago value={run.started_at ?? run.created_at} />
      {` · ${run.caller.principal}`}
      {run.prefect && ` · Prefect ${run.prefect}`}
      {run.retry_of !== null && (
        <>
          {` · ${t('run.retryOf')} `}
          <Link to="/runs/$id" params={{ id: run.retry_of }}>
            {run.retry_of}
          </Link>
        </>
      )}
      {run.retried_by !== null && (
        <>
          {` · ${t('run.retriedBy')} `}
          <Link to="/runs/$id" params={{ id: run.retried_by }}>
            {run.retried_by}
          </Link>
        </>
      )}
    </>
  );
}

function Log({ run, titled }: { run: RunWithSteps; titled: (operation: string) => string }) {
  const { t } = useTranslation();
  const lines = logOf(run);
  if (lines.length === 0) return <p className="dimmed">{t('run.noLog')}</p>;
  return (
    <ol className={classes.log} tabIndex={0} aria-label={t('run.log')}>
      {lines.map((line, place) => {
        const name = line.compensation ? t('run.undo', { step: titled(line.operation) }) : titled(line.operation);
        const state = t(`state.${line.state}`).toLowerCase();
        if (line.said !== null) {
          return (
            <li key={place} data-level={line.said.level}>
              <time dateTime={line.at}>{clock(line.at)}</time> {name}: <Said entry={line.said} />
            </li>
          );
        }
        return (
          <li key={place} data-own>
            <time dateTime={line.at}>{clock(line.at)}</time> {name}{' '}
            {line.kind === 'started'
              ? t('run.logStarted')
              : line.took === null
                ? t('run.logEndedAtOnce', { state })
                : t('run.logEnded', { state, took: duration(line.took) })}
            {line.error && <span data-error> {line.error.detail}</span>}
          </li>
        );
      })}
    </ol>
  );
}
