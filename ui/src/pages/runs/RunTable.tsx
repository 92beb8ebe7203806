import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { isLive, runQuery } from '../../api/runs';
import { useCatalogue } from '../../api/meta';
import type { Run } from '../../api/types';
import { duration } from '../../components/format';
import { useNow } from '../../components/hooks';
import { StateChip } from '../../components/RunState';
import { Ago } from '../../components/Time';
import table from '../../display/Table.module.css';
import { took } from './figures';
import classes from './Runs.module.css';
import { Subject } from './Subject';

/** Runs in a table: what, in which state, about which document, since when, for how long, and (`why`) why not. */
export function RunTable({ runs, compact = false, why = true }: { runs: readonly Run[]; compact?: boolean; why?: boolean }) {
  const { t } = useTranslation();
  const reasons = why && runs.some((run) => run.error !== null || waits(run));
  const asked = new Set(runs.filter(waits).slice(0, ASKED));
  const now = useNow(runs.some((run) => isLive(run.state)), 1000);
  return (
    <div className={table.scroll}>
      <table className={table.table}>
        <thead>
          <tr>
            <th>{t('runs.name')}</th>
            <th>{t('runs.state')}</th>
            {!compact && <th>{t('runs.started')}</th>}
            <th data-align="right">{t('runs.took')}</th>
            {reasons && <th>{t('runs.reason')}</th>}
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <Row key={run.id} run={run} now={now} compact={compact} reasons={reasons} ask={asked.has(run)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Of how many waiting runs the steps are asked for their reasons. */
const ASKED = 10;

function waits(run: Run): boolean {
  return run.state === 'waiting' && run.error === null;
}

/** Why a run waits: its step knows. */
export function useReason(run: Run, ask: boolean): string | undefined {
  const enabled = useCatalogue().mayRuns('get') && ask;
  const { data } = useQuery({ ...runQuery(run.id), enabled });
  return data?.steps.find((step) => step.state === 'waiting')?.error?.detail;
}

function Row({ run, now, compact, reasons, ask }: { run: Run; now: number; compact: boolean; reasons: boolean; ask: boolean }) {
  const reason = useReason(run, ask);
  const { t } = useTranslation();
  const length = took(run, now);
  return (
    <tr>
      <td className={classes.name}>
        <Link to="/runs/$id" params={{ id: run.id }}>
          <RunName run={run} />
        </Link>{' '}
        <Subject run={run} />
      </td>
      <td>
        <StateChip state={run.state} />
      </td>
      {!compact && (
        <td>
          <Ago value={run.started_at ?? run.created_at} />
        </td>
      )}
      <td data-align="right" className="nowrap">
        {length === null ? t('common.none') : duration(length)}
      </td>
      {reasons && <td className={classes.reason}>{run.error?.detail ?? reason ?? ''}</td>}
    </tr>
  );
}

export function RunName({ run }: { run: Run }) {
  return <>{useCatalogue().titleOf(run.kind, run.name)}</>;
}
