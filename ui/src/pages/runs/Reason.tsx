import { IconAlertTriangle, IconArrowBackUp, IconClockHour4, IconHandStop } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { RunError, RunWithSteps } from '../../api/types';
import { Ago } from '../../components/Time';
import classes from './Runs.module.css';
import type { Tone } from './tone';

/** Why a run is not simply done, in words, above everything else. */
export function Reason({ run, titled }: { run: RunWithSteps; titled: (operation: string) => string }) {
  const { t } = useTranslation();
  const waiting = run.steps.filter((step) => step.state === 'waiting');
  const error = run.error ?? waiting.find((step) => step.error !== null)?.error ?? null;
  const step = titled(error?.step ?? '');
  if ((run.incident ?? null) !== null) {
    return (
      <Banner tone="bad" icon={<IconAlertTriangle size={18} aria-hidden />} title={t('run.incident')}>
        <p>{run.incident}</p>
        <Details error={error} />
      </Banner>
    );
  }
  if (waiting.length > 0 || run.state === 'waiting') {
    const wake = run.wake_at ?? waiting.find((each) => each.wake_at !== null)?.wake_at ?? null;
    const names = waiting.map((each) => titled(each.operation)).join(', ');
    return (
      <Banner tone="wait" icon={<IconClockHour4 size={18} aria-hidden />} title={t('run.waitingFor', { detail: names })}>
        <Details error={error} />
        {wake !== null && (
          <p className="dimmed">
            {t('run.nextTry')} <Ago value={wake} />
          </p>
        )}
      </Banner>
    );
  }
  if (error === null) return null;
  if (run.state === 'stopped') {
    return (
      <Banner tone="wait" icon={<IconHandStop size={18} aria-hidden />} title={t('run.stoppedAt', { step })}>
        <Details error={error} />
      </Banner>
    );
  }
  if (run.state === 'compensated' || run.state === 'compensating') {
    return (
      <Banner tone="undo" icon={<IconArrowBackUp size={18} aria-hidden />} title={t('run.compensatedAfter', { step })}>
        <Details error={error} />
      </Banner>
    );
  }
  return (
    <Banner tone={run.state === 'failed' ? 'bad' : 'calm'} icon={<IconAlertTriangle size={18} aria-hidden />} title={step === '' ? error.detail : t('run.failedAt', { step })}>
      <Details error={error} />
    </Banner>
  );
}

function Details({ error }: { error: RunError | null }) {
  if (error === null) return null;
  return (
    <>
      <p>
        {error.detail} <code className="dimmed">{error.code}</code>
      </p>
      {error.hint && <p className="dimmed">{error.hint}</p>}
    </>
  );
}

function Banner({ tone, icon, title, children }: { tone: Tone; icon: ReactNode; title: string; children: ReactNode }) {
  return (
    <section className={classes.banner} data-tone={tone} aria-label={title}>
      {icon}
      <div>
        <b>{title}</b>
        {children}
      </div>
    </section>
  );
}
