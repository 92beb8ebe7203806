import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { isLive } from '../../api/runs';
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

/** Runs in a table: what, in which state, about which document, since when, for how long, and why not. */
export function RunTable({ runs, compact = false }: { runs: readonly Run[]; compact?: boolean }) {
  const { t } = useTranslation();
  const reasons = runs.some((run) => run.error !== null);
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
            <Row key={run.id} run={run} now={now} compact={compact} reasons={reasons} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ run, now, compact, reasons }: { run: Run; now: number; compact: boolean; reasons: boolean }) {
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
      {reasons && <td className={classes.reason}>{run.error?.detail ?? ''}</td>}
    </tr>
  );
}

export function RunName({ run }: { run: Run }) {
  return <>{useCatalogue().titleOf(run.kind, run.name)}</>;
}
