import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { LIVE, runsQuery, UNHAPPY } from '../../api/runs';
import type { Run } from '../../api/types';
import { Panel } from '../../components/Page';
import { StateIcon } from '../../components/RunState';
import { SkeletonRows } from '../../components/States';
import { Ago } from '../../components/Time';
import { isStuck } from '../runs/figures';
import { RunName, RunTable, useReason } from '../runs/RunTable';
import { Subject } from '../runs/Subject';
import classes from './Home.module.css';
import { useMinute } from './useMinute';

const DAY = 86_400_000;
const LIVE_SHOWN = 6;
const ATTENTION_SHOWN = 6;
const live = runsQuery(`state[in]=${LIVE.join(',')}&limit=50&count=true`);
const stuck = runsQuery('state=waiting&limit=50&count=true');
const unhappy = runsQuery(`state[in]=${UNHAPPY.join(',')}&limit=50&count=true`);

export function RunNumbers() {
  const { t } = useTranslation();
  const now = useMinute().getTime();
  const running = useQuery(live);
  const waiting = useQuery(stuck);
  const failed = useQuery(unhappy);
  const inNeed = (failed.data?.runs ?? []).filter(isStuck).length;
  const recent = (failed.data?.runs ?? []).filter((run) => now - new Date(run.created_at).getTime() < DAY);
  return (
    <>
      <Number name={t('home.running')} value={running.data?.total ?? null} note={t('home.runningNote')} show="live" />
      <Number name={t('home.stuck')} value={waiting.data === undefined ? null : (waiting.data.total ?? 0) + inNeed} note={t('home.stuckNote')} show="stuck" tone="warning" />
      <Number name={t('home.failed')} value={failed.data === undefined ? null : recent.length} note={recent.length === 0 ? t('home.allClear') : t('home.failures').toLowerCase()} show="failed" tone="critical" />
    </>
  );
}

interface NumberProps {
  name: string;
  value: number | null;
  note: string;
  show: string;
  tone?: 'warning' | 'critical';
}

function Number({ name, value, note, show, tone }: NumberProps) {
  const { t } = useTranslation();
  const alarm = tone !== undefined && value !== null && value > 0 ? tone : undefined;
  return (
    <Link to="/runs" search={{ show }} className={classes.number}>
      <div className={classes.name} data-tone={alarm}>
        {alarm && <IconAlertTriangle size={15} aria-hidden />}
        <span className="ellipsis">{name}</span>
      </div>
      <div className={classes.value}>{value ?? t('common.none')}</div>
      <div className={classes.note}>{note}</div>
    </Link>
  );
}

/** Runs that wait or have failed, each with the reason in words: one click away from what to do. */
export function Attention() {
  const { t } = useTranslation();
  const now = useMinute().getTime();
  const waiting = useQuery(stuck);
  const failed = useQuery(unhappy);
  const loading = waiting.data === undefined || failed.data === undefined;
  const recent = (failed.data?.runs ?? []).filter((run) => run.retried_by === null && (isStuck(run) || now - new Date(run.created_at).getTime() < DAY));
  const runs = [...(waiting.data?.runs ?? []), ...recent].slice(0, ATTENTION_SHOWN);
  return (
    <Panel title={t('home.attention')} flush>
      {loading ? (
        <SkeletonRows rows={4} />
      ) : runs.length === 0 ? (
        <p className={classes.empty}>{t('home.attentionNone')}</p>
      ) : (
        <ul className={classes.attention}>
          {runs.map((run) => (
            <Trouble key={run.id} run={run} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Trouble({ run }: { run: Run }) {
  const { t } = useTranslation();
  const reason = useReason(run, run.state === 'waiting' && run.error === null);
  return (
    <li>
      <Link to="/runs/$id" params={{ id: run.id }}>
        <StateIcon state={run.state} size={17} />
        <div>
          <b>
            <RunName run={run} />
          </b>{' '}
          <Subject run={run} />
          <p>{run.incident ?? run.error?.detail ?? reason ?? t(`state.${run.state}`)}</p>
        </div>
        <span className="dimmed">
          <Ago value={run.updated_at} />
        </span>
      </Link>
    </li>
  );
}

export function LiveRuns() {
  const { t } = useTranslation();
  const { data } = useQuery(live);
  return (
    <Panel
      title={t('home.liveRuns')}
      aside={
        <Link to="/runs" search={{}} aria-label={`${t('home.showAll')}: ${t('home.liveRuns')}`}>
          {t('home.showAll')}
        </Link>
      }
      flush
    >
      {data === undefined ? (
        <SkeletonRows rows={4} />
      ) : data.runs.length === 0 ? (
        <p className={classes.empty}>{t('home.liveNone')}</p>
      ) : (
        <RunTable runs={data.runs.slice(0, LIVE_SHOWN)} compact why={false} />
      )}
    </Panel>
  );
}
