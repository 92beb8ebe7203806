import type { Json } from './types';

export const API = '/api';

export interface FieldProblem {
  pointer: string;
  code: string;
  message: string;
}

/** An answer that says no (RFC 9457), or the lack of any answer (status 0). */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string | null;
  readonly requestId: string | null;
  readonly errors: readonly FieldProblem[];

  constructor(status: number, body: Partial<ProblemBody>) {
    super(body.detail ?? body.title ?? 'The request failed');
    this.name = 'Problem';
    this.status = status;
    this.code = body.code ?? `http_${status}`;
    this.detail = this.message;
    this.hint = body.hint ?? null;
    this.requestId = body.request_id ?? null;
    this.errors = body.errors ?? [];
  }

  /** Whether asking again may help: nobody answered, or whoever did was busy or down. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 502;
  }
}

interface ProblemBody {
  title: string;
  detail: string;
  code: string;
  hint: string | null;
  request_id: string;
  errors: FieldProblem[];
}

export interface Answer<T> {
  data: T;
  headers: Headers;
}

export interface Asking {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: Json;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/** One request to the API; throws a Problem for everything but success. `path` begins with a slash. */
export async function ask<T>(path: string, asking: Asking = {}): Promise<Answer<T>> {
  const { method = 'GET', body, headers = {}, signal } = asking;
  const sent: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const init: RequestInit = { method, headers: { Accept: 'application/json', ...sent, ...headers }, cache: 'no-cache' };
  if (signal) init.signal = signal;
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await reached(path, init);
  if (!response.ok) throw await problemOf(response);
  const data = response.status === 204 ? null : ((await response.json()) as unknown);
  return { data: data as T, headers: response.headers };
}

export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask<T>(path, signal ? { signal } : {})).data;
}

async function reached(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(API + path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, { code: 'unreachable', detail: 'The server does not answer' });
  }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return new Problem(response.status, (await response.json()) as Partial<ProblemBody>);
  } catch {
    return new Problem(response.status, { detail: response.statusText });
  }
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, { code: 'unexpected', detail: error instanceof Error ? error.message : String(error) });
}

/** A fresh Idempotency-Key: a request that is sent twice by accident happens once. */
export function freshKey(): string {
  return crypto.randomUUID();
}
