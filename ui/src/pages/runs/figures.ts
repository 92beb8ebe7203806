/** A run in numbers: when its steps began, how long they took, and what running them side by side saved. */

import type { LogEntry, Plan, Run, RunState, RunWithSteps, StepRun } from '../../api/types';

export interface Bar {
  key: string;
  operation: string;
  title: string;
  state: RunState | null;
  compensation: boolean;
  critical: boolean;
  /** Milliseconds after the run's start; null: not started. */
  start: number | null;
  took: number | null;
  step: StepRun | null;
}

export interface Figures {
  wall: number | null;
  oneByOne: number;
  saved: number | null;
  done: number;
  all: number;
  bars: Bar[];
  /** The length of the time axis in milliseconds. */
  span: number;
}

const time = (text: string | null): number | null => (text === null ? null : new Date(text).getTime());

export function took(of: Pick<Run, 'started_at' | 'finished_at'>, now: number): number | null {
  const started = time(of.started_at);
  return started === null ? null : Math.max(0, (time(of.finished_at) ?? now) - started);
}

export function figures(run: RunWithSteps, plan: Plan | undefined, title: (operation: string) => string, now: number): Figures {
  const began = time(run.started_at) ?? time(run.created_at) ?? now;
  const critical = new Set(plan?.critical_path ?? []);
  const latest = latestOf(run.steps);
  const bars = latest.map((step): Bar => {
    const started = time(step.started_at);
    return {
      key: step.id,
      operation: step.operation,
      title: title(step.of ?? step.operation),
      state: step.state,
      compensation: step.kind === 'compensation',
      critical: critical.has(step.operation) && step.kind === 'step',
      start: started === null ? null : Math.max(0, started - began),
      took: took(step, now),
      step,
    };
  });
  const known = new Set(latest.filter((step) => step.kind === 'step').map((step) => step.operation));
  const toCome = (plan?.steps ?? []).filter((step) => !known.has(step.operation));
  for (const { operation } of toCome) {
    bars.push({
      key: operation,
      operation,
      title: title(operation),
      state: null,
      compensation: false,
      critical: critical.has(operation),
      start: null,
      took: null,
      step: null,
    });
  }
  bars.sort((one, two) => (one.start ?? Number.MAX_VALUE) - (two.start ?? Number.MAX_VALUE));

  const wall = took(run, now);
  const steps = bars.filter((bar) => !bar.compensation);
  const oneByOne = bars.reduce((sum, bar) => sum + (bar.took ?? 0), 0);
  const saved = wall === null || oneByOne <= wall ? null : Math.round((1 - wall / oneByOne) * 100);
  const span = Math.max(1, wall ?? 0, ...bars.map((bar) => (bar.start ?? 0) + (bar.took ?? 0)));
  return { wall, oneByOne, saved, done: steps.filter((bar) => bar.state === 'completed').length, all: steps.length, bars, span };
}

/** Of each step and each undoing, the latest generation: a person's retry makes a new one. */
export function latestOf(steps: readonly StepRun[]): StepRun[] {
  const found = new Map<string, StepRun>();
  for (const step of steps) {
    const key = `${step.kind} ${step.operation}`;
    const before = found.get(key);
    if (before === undefined || before.generation <= step.generation) found.set(key, step);
  }
  return [...found.values()];
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((each) => [each, each * 1000, each * 60_000, each * 3_600_000]);
const TICKS = 7;

/** Where the axis has its ticks: round times, not more than there is room for. */
export function ticks(span: number): number[] {
  const step = STEPS.toSorted((one, two) => one - two).find((each) => span / each <= TICKS) ?? span;
  const found: number[] = [];
  for (let at = 0; at <= span; at += step) found.push(at);
  return found;
}

export interface LogLine {
  at: string;
  /** The step; of an undoing, the one that is undone. */
  operation: string;
  compensation: boolean;
  kind: 'started' | 'said' | 'ended';
  state: RunState;
  took: number | null;
  error: StepRun['error'];
  /** What the operation itself logged. */
  said: LogEntry | null;
}

const ORDER = { started: 0, said: 1, ended: 2 } as const;

/** What happened, line by line, as the journal has it: the steps' beginnings and ends, and what they logged between. */
export function logOf(run: RunWithSteps): LogLine[] {
  const lines = run.steps.flatMap((step): LogLine[] => {
    const common = { operation: step.of ?? step.operation, compensation: step.kind === 'compensation', state: step.state };
    const found: LogLine[] = [];
    if (step.started_at !== null) found.push({ ...common, at: step.started_at, kind: 'started', took: null, error: null, said: null });
    for (const said of step.log) found.push({ ...common, at: said.at, kind: 'said', took: null, error: null, said });
    if (step.finished_at !== null) {
      const length = step.started_at === null ? null : took(step, 0);
      found.push({ ...common, at: step.finished_at, kind: 'ended', took: length, error: step.error, said: null });
    }
    return found;
  });
  return lines.sort((one, two) => one.at.localeCompare(two.at) || ORDER[one.kind] - ORDER[two.kind]);
}


/** Whether a run waits for something, or for a person: what an operator looks for first. */
export function isStuck(run: Run): boolean {
  return run.state === 'waiting' || (run.incident ?? null) !== null;
}
