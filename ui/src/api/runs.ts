import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';

import type { BulkResult } from './documents';
import { ask, read } from './client';
import type { FlowMeta, Json, JsonObject, OperationMeta, Run, RunState, RunWithSteps, StepRun } from './types';

export const ENDED: readonly RunState[] = ['stopped', 'completed', 'failed', 'cancelled', 'compensated'];
export const LIVE: readonly RunState[] = ['queued', 'running', 'waiting', 'cancelling', 'compensating'];
export const UNHAPPY: readonly RunState[] = ['failed', 'compensated', 'stopped'];

export function isLive(state: RunState): boolean {
  return LIVE.includes(state);
}

export const runKeys = {
  all: ['runs'] as const,
  lists: ['runs', 'list'] as const,
  one: (id: string) => ['runs', 'one', id] as const,
};

interface RunPage {
  runs: Run[];
  total: number | null;
  next: string | null;
}

async function page(search: string, signal: AbortSignal): Promise<RunPage> {
  const { data, headers } = await ask<Run[]>(`/runs?${search}`, { signal });
  const total = headers.get('x-total-count');
  const next = /[?&]cursor=([^&>]+)/.exec(headers.get('link') ?? '');
  return { runs: data, total: total === null ? null : Number(total), next: next?.[1] ?? null };
}

export function runsQuery(search: string) {
  return queryOptions({
    queryKey: [...runKeys.lists, search],
    queryFn: ({ signal }) => page(search, signal),
    placeholderData: keepPreviousData,
  });
}

/** Runs page by page: the API leads from one to the next by cursor. */
export function runPagesQuery(search: string) {
  return infiniteQueryOptions({
    queryKey: [...runKeys.lists, 'pages', search],
    queryFn: ({ signal, pageParam }) =>
      page([search, pageParam === '' ? 'count=true' : `cursor=${pageParam}`].filter(Boolean).join('&'), signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
  });
}

export function runQuery(id: string) {
  return queryOptions({
    queryKey: runKeys.one(id),
    queryFn: async ({ signal }) => {
      const run = await read<RunWithSteps>(`/runs/${encodeURIComponent(id)}`, signal);
      return { ...run, steps: run.steps.map((step) => ({ ...NOT_STARTED, ...step })) };
    },
  });
}

/** What a step that never began, a skipped one, leaves out. */
const NOT_STARTED = {
  of: null,
  attempts: 0,
  input: null,
  output: null,
  error: null,
  already: false,
  touched: [],
  log: [],
  wake_at: null,
  started_at: null,
  finished_at: null,
} satisfies Partial<StepRun>;

export type RunAction = 'cancel' | 'retry' | 'wake';

export async function act(id: string, action: RunAction, body: JsonObject = {}): Promise<Run> {
  return (await ask<Run>(`/runs/${encodeURIComponent(id)}/${action}`, { method: 'POST', body })).data;
}

export async function startFlow(flow: FlowMeta, input: JsonObject, key: string): Promise<Run> {
  const path = `/flows/${encodeURIComponent(flow.name)}/runs`;
  return (await ask<Run>(path, { method: 'POST', body: input, headers: { 'Idempotency-Key': key } })).data;
}

export interface Outcome {
  /** What was sent. */
  input: JsonObject;
  output: Json;
  run: string | null;
  already: boolean;
}

export async function call(operation: OperationMeta, input: JsonObject, key: string): Promise<Outcome> {
  const { data, headers } = await ask<Json>(operation.path, {
    method: 'POST',
    body: input,
    headers: { 'Idempotency-Key': key },
  });
  return { input, output: data, run: headers.get('pulpo-run'), already: headers.get('pulpo-already') === 'true' };
}

export async function callMany(operation: OperationMeta, inputs: JsonObject[], key: string): Promise<BulkResult[]> {
  const { data } = await ask<BulkResult[]>(`${operation.path}/bulk`, {
    method: 'POST',
    body: inputs,
    headers: { 'Idempotency-Key': key },
  });
  return data;
}
