import type { RunState } from '../../api/types';

export type Tone = 'ok' | 'busy' | 'wait' | 'bad' | 'undo' | 'calm';

const TONES: Readonly<Record<RunState, Tone>> = {
  queued: 'calm',
  running: 'busy',
  waiting: 'wait',
  stopped: 'wait',
  completed: 'ok',
  failed: 'bad',
  cancelling: 'calm',
  cancelled: 'calm',
  compensating: 'undo',
  compensated: 'undo',
  skipped: 'calm',
};

export function toneOf(state: RunState | null): Tone {
  return state === null ? 'calm' : TONES[state];
}
