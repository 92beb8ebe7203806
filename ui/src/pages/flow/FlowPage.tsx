import { Button, SegmentedControl } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../../api/meta';
import { isLive, runQuery, runsQuery } from '../../api/runs';
import type { FlowMeta, Plan, Run } from '../../api/types';
import { first } from '../../app/search';
import { Chip } from '../../components/Chip';
import { useNow } from '../../components/hooks';
import { Page, Panel } from '../../components/Page';
import { StateChip } from '../../components/RunState';
import { Empty } from '../../components/States';
import table from '../../display/Table.module.css';
import { words } from '../../schema/tree';
import { NotFound } from '../NotFound';
import { figures, type Bar } from '../runs/figures';
import { RunTable } from '../runs/RunTable';
import { StepDrawer } from '../runs/StepDrawer';
import classes from './Flow.module.css';
import { FlowGraph } from './FlowGraph';
import { groupOf, layout } from './layout';

const RECENT = 8;

export function FlowPage() {
  const { name } = useParams({ from: '/flows/$name' });
  const flow = useCatalogue().flow(name);
  return flow === undefined ? <NotFound what="flow" /> : <Flow key={name} flow={flow} />;
}

function Flow({ flow }: { flow: FlowMeta }) {
  const { t } = useTranslation();
  const catalogue = useCatalogue();
  const navigate = useNavigate();
  const search = useSearch({ from: '/flows/$name' });
  const { plan } = flow;
  const [opened, setOpened] = useState<string | null>(null);
  const titled = (operation: string) => catalogue.operation(operation)?.title ?? words(operation.split('.').at(-1) ?? operation);
  const seesRuns = catalogue.mayRuns('list');
  const recent = useQuery({ ...runsQuery(`name=${encodeURIComponent(flow.name)}&kind=flow&limit=${RECENT}`), enabled: seesRuns });
  const latest = recent.data?.runs[0];
  const bars = useBars(latest, plan, titled);
  const parallel = useMemo(() => layout(plan).parallel, [plan]);
  const view = first(search, 'view') === 'table' ? 'table' : 'graph';
  const bar = opened === null ? null : (bars.find((each) => each.operation === opened && !each.compensation) ?? blank(opened, titled(opened), plan));
  return (
    <Page
      title={flow.title}
      below={[
        t('flow.summary', { count: plan.steps.length }),
        ...(parallel > 1 ? [t('flow.parallel', { count: parallel })] : []),
        ...(plan.one_per === null ? [] : [t('flow.oneAtATime', { field: words(plan.one_per).toLowerCase() })]),
      ].join(' · ')}
      actions={
        flow.may.includes('start') && (
          <Button
            leftSection={<IconPlayerPlay size={15} aria-hidden />}
            renderRoot={(props) => <Link to="/flows/$name/start" params={{ name: flow.name }} search={{}} {...props} />}
          >
            {t('flow.run')}
          </Button>
        )
      }
    >
      <div className={classes.stack}>
        <Panel flush label={flow.title}>
          <div className={classes.top}>
            <SegmentedControl
              size="xs"
              value={view}
              aria-label={flow.title}
              onChange={(next) => void navigate({ to: '/flows/$name', params: { name: flow.name }, search: next === 'table' ? { view: 'table' } : {} })}
              data={[
                { value: 'graph', label: t('flow.asGraph') },
                { value: 'table', label: t('flow.asTable') },
              ]}
            />
            {latest && <Latest run={latest} bars={bars} />}
          </div>
          {plan.steps.length === 0 ? (
            <Empty title={t('runs.none')} />
          ) : view === 'graph' ? (
            <FlowGraph plan={plan} titled={titled} bars={bars} open={setOpened} />
          ) : (
            <PlanTable plan={plan} titled={titled} />
          )}
        </Panel>
        {plan.preconditions.length > 0 && (
          <Panel title={t('flow.preconditions')}>
            <div className={classes.actions}>
              {plan.preconditions.map((name) => (
                <Chip key={name}>{titled(name)}</Chip>
              ))}
            </div>
          </Panel>
        )}
        {seesRuns && (
          <Panel title={t('operation.recent')} flush>
            {recent.data === undefined || recent.data.runs.length === 0 ? (
              <p className={table.none}>{t('operation.noRecent')}</p>
            ) : (
              <RunTable runs={recent.data.runs} />
            )}
          </Panel>
        )}
      </div>
      <StepDrawer bar={bar} plan={plan} titled={titled} close={() => setOpened(null)} />
    </Page>
  );
}

function useBars(latest: Run | undefined, plan: Plan, titled: (operation: string) => string): Bar[] {
  const sees = useCatalogue().mayRuns('get');
  const { data } = useQuery({ ...runQuery(latest?.id ?? ''), enabled: sees && latest !== undefined });
  const now = useNow(data !== undefined && isLive(data.state));
  return data === undefined ? [] : figures(data, plan, titled, now).bars;
}

function blank(operation: string, title: string, plan: Plan): Bar {
  const critical = plan.critical_path.includes(operation);
  return { key: operation, operation, title, state: null, compensation: false, critical, start: null, took: null, step: null };
}

function Latest({ run, bars }: { run: Run; bars: Bar[] }) {
  const { t } = useTranslation();
  const steps = bars.filter((bar) => !bar.compensation);
  return (
    <div className={classes.actions}>
      <Link to="/runs/$id" params={{ id: run.id }}>
        {t('flow.latest')}
      </Link>
      <StateChip state={run.state} />
      {steps.length > 0 && (
        <Chip colour="blue">
          {t('flow.done', { done: steps.filter((bar) => bar.state === 'completed').length, all: steps.length })}
        </Chip>
      )}
    </div>
  );
}

/** The same plan for those who cannot see a graph. */
function PlanTable({ plan, titled }: { plan: Plan; titled: (operation: string) => string }) {
  const { t } = useTranslation();
  return (
    <div className={table.scroll}>
      <table className={table.table}>
        <thead>
          <tr>
            <th>{t('run.step')}</th>
            <th>{t('flow.group')}</th>
            <th>{t('flow.after')}</th>
            <th>{t('flow.why')}</th>
          </tr>
        </thead>
        <tbody>
          {plan.steps.map((step) => {
            const edges = plan.edges.filter((edge) => edge.after === step.operation);
            return (
              <tr key={step.operation}>
                <td className="nowrap">
                  <Link to="/operations/$name" params={{ name: step.operation }} search={{}}>
                    {titled(step.operation)}
                  </Link>{' '}
                  {step.pivot && <Chip colour="orange">{t('operation.pivot')}</Chip>} {step.gate !== null && <Chip>{t('operation.gate')}</Chip>}
                </td>
                <td className="nowrap">{words(groupOf(step.operation).split('.').at(-1) ?? '')}</td>
                <td className="nowrap">
                  {edges.map((edge) => (
                    <div key={edge.before}>{titled(edge.before)}</div>
                  ))}
                </td>
                <td data-wrap>
                  {edges.map((edge) => (
                    <div key={edge.before}>{edge.why}</div>
                  ))}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
