import {
  IconArrowBackUp, IconCircle, IconCircleCheckFilled, IconCircleDashed, IconCircleMinus, IconCircleXFilled,
  IconClockHour4, IconHandStop, IconLoader2,
} from '@tabler/icons-react'; // prettier-ignore
import type { ComponentType } from 'react';
import { useTranslation } from 'react-i18next';

import type { RunState } from '../api/types';
import { Chip } from './Chip';

interface Look {
  icon: ComponentType<{ size?: number; stroke?: number; className?: string; color?: string; 'aria-hidden'?: boolean }>;
  tone: string;
  chip: string;
  turning?: boolean;
}

const LOOKS: Readonly<Record<RunState, Look>> = {
  queued: { icon: IconCircleDashed, tone: 'var(--p-calm)', chip: 'gray' },
  running: { icon: IconLoader2, tone: 'var(--p-busy)', chip: 'blue', turning: true },
  waiting: { icon: IconClockHour4, tone: 'var(--p-wait)', chip: 'yellow' },
  stopped: { icon: IconHandStop, tone: 'var(--p-wait)', chip: 'orange' },
  completed: { icon: IconCircleCheckFilled, tone: 'var(--p-ok)', chip: 'green' },
  failed: { icon: IconCircleXFilled, tone: 'var(--p-bad)', chip: 'red' },
  cancelling: { icon: IconLoader2, tone: 'var(--p-calm)', chip: 'gray', turning: true },
  cancelled: { icon: IconCircleMinus, tone: 'var(--p-calm)', chip: 'gray' },
  compensating: { icon: IconLoader2, tone: 'var(--p-undo)', chip: 'violet', turning: true },
  compensated: { icon: IconArrowBackUp, tone: 'var(--p-undo)', chip: 'violet' },
  skipped: { icon: IconCircle, tone: 'var(--p-calm)', chip: 'gray' },
};

const PENDING: Look = { icon: IconCircle, tone: 'var(--p-calm)', chip: 'gray' };

export function lookOf(state: RunState | null): Look {
  return state === null ? PENDING : LOOKS[state];
}

/** A state as an icon; its word is there for those who do not see it. */
export function StateIcon({ state, size = 16 }: { state: RunState | null; size?: number }) {
  const { t } = useTranslation();
  const look = lookOf(state);
  const Drawing = look.icon;
  return (
    <span style={{ display: 'inline-flex', color: look.tone, flexShrink: 0 }}>
      <Drawing size={size} stroke={2} className={look.turning ? 'turning' : ''} aria-hidden />
      <span className="visually-hidden">{state === null ? t('run.notStarted') : t(`state.${state}`)}</span>
    </span>
  );
}

export function StateChip({ state }: { state: RunState }) {
  const { t } = useTranslation();
  const look = lookOf(state);
  const Drawing = look.icon;
  return (
    <Chip colour={look.chip}>
      <Drawing size={13} stroke={2} className={look.turning ? 'turning' : ''} aria-hidden />
      {t(`state.${state}`)}
    </Chip>
  );
}
