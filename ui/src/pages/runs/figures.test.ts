import { expect, test } from 'vitest';

import type { Plan, RunWithSteps, StepRun } from '../../api/types';
import { figures, latestOf, logOf, ticks } from './figures';

const at = (second: number) => new Date(Date.UTC(2025, 9, 30, 12, 0, 0) + second * 1000).toISOString();
const step = (operation: string, from: number, to: number | null, more: Partial<StepRun> = {}) =>
  ({ id: operation, operation, of: null, kind: 'step', state: to === null ? 'running' : 'completed', generation: 1, error: null, log: [], started_at: at(from), finished_at: to === null ? null : at(to), ...more }) as StepRun;

const run = {
  started_at: at(0),
  finished_at: at(4),
  created_at: at(0),
  steps: [step('a', 0, 2), step('b', 0, 3), step('c', 3, 4), step('undo', 4, 4, { kind: 'compensation', of: 'a' })],
} as unknown as RunWithSteps;
const plan = { steps: [{ operation: 'a' }, { operation: 'b' }, { operation: 'c' }, { operation: 'd' }], critical_path: ['b', 'c'] } as unknown as Plan;

test('running side by side saves what one by one would have taken longer', () => {
  const found = figures(run, plan, (name) => name, 0);
  expect(found).toMatchObject({ wall: 4000, oneByOne: 6000, saved: 33, done: 3, all: 4 });
  expect(found.bars.map((bar) => bar.title)).toEqual(['a', 'b', 'c', 'a', 'd']);
  expect(found.bars.filter((bar) => bar.critical).map((bar) => bar.operation)).toEqual(['b', 'c']);
  expect(found.bars.at(-1)).toMatchObject({ state: null, start: null });
});

test('of a step that was retried by a person the latest counts', () => {
  expect(latestOf([step('a', 0, 1), step('a', 5, 6, { id: 'again', generation: 2 })]).map((each) => each.id)).toEqual(['again']);
});

test('the axis has round ticks, from the start, and not too many', () => {
  expect(ticks(6200)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000]);
  for (const span of [1, 17, 950, 61_000, 9_000_000]) expect(ticks(span).length).toBeLessThanOrEqual(8);
});

test('what a step logged stands between its beginning and its end', () => {
  const said = { at: at(2), level: 'info', message: 'half way', attempt: 1 };
  const lines = logOf({ ...run, steps: [step('a', 0, 2, { log: [said] })] });
  expect(lines.map((line) => line.said?.message ?? line.kind)).toEqual(['started', 'half way', 'ended']);
});

test('the log tells beginnings and ends in the order of the clock', () => {
  expect(logOf(run).map((line) => `${line.operation} ${line.kind}`).slice(0, 4)).toEqual(['a started', 'b started', 'a ended', 'c started']);
});
