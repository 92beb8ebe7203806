import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { ask, read } from './client';
import type { Document, FieldMeta, Json, JsonObject, ModelMeta } from './types';

export interface Page {
  documents: Document[];
  total: number | null;
}

export interface Loaded {
  document: Document;
  etag: string | null;
}

export interface FigureGroup {
  group: Record<string, Json>;
  count: number;
  sum?: Record<string, number | null>;
  avg?: Record<string, number | null>;
}

declare module '@tanstack/react-query' {
  interface Register {
    /** `shows`: models of which an answer shows something, besides the one in its key. */
    queryMeta: { shows?: readonly string[] };
  }
}

/** Keys by which queries of documents are found again when an event names their model. */
export const documentKeys = {
  all: ['documents'] as const,
  model: (model: string) => ['documents', model] as const,
};

/** The models whose documents come along where these references are expanded: their changes concern the answer too. */
function expanded(model: ModelMeta, names: readonly string[]): string[] {
  const found: string[] = [];
  const walk = (fields: readonly FieldMeta[], prefix: string) => {
    for (const field of fields) {
      const inner = field.kind === 'list' && field.item !== undefined ? field.item : field;
      const path = prefix + field.name;
      if (inner.kind === 'ref' && inner.target !== undefined && names.includes(path.replace(/_id$/, ''))) found.push(inner.target);
      walk(inner.fields ?? [], `${path}.`);
    }
  };
  walk(model.fields, '');
  return found;
}

export function listQuery(model: ModelMeta, search: string) {
  const names = new URLSearchParams(search).get('expand')?.split(',') ?? [];
  return queryOptions({
    meta: { shows: expanded(model, names) },
    queryKey: [...documentKeys.model(model.name), 'list', search],
    queryFn: async ({ signal }): Promise<Page> => {
      const { data, headers } = await ask<Document[]>(`${model.path}?${search}`, { signal });
      const total = headers.get('x-total-count');
      return { documents: data, total: total === null ? null : Number(total) };
    },
    placeholderData: keepPreviousData,
  });
}

export function documentQuery(model: ModelMeta, id: string) {
  return queryOptions({
    queryKey: [...documentKeys.model(model.name), 'one', id],
    queryFn: ({ signal }) => loadDocument(model, id, signal),
  });
}

export async function loadDocument(model: ModelMeta, id: string, signal?: AbortSignal): Promise<Loaded> {
  const { data, headers } = await ask<Document>(`${model.path}/${encodeURIComponent(id)}`, signal ? { signal } : {});
  return { document: data, etag: headers.get('etag') };
}

/** The document with what it refers to beside its references; it has no ETag and is for reading only. */
export function expandedQuery(model: ModelMeta, id: string) {
  const search = model.expands.length > 0 ? `?expand=${model.expands.join(',')}` : '';
  return queryOptions({
    meta: { shows: expanded(model, model.expands) },
    queryKey: [...documentKeys.model(model.name), 'one', id, 'expanded'],
    queryFn: ({ signal }) => read<Document>(`${model.path}/${encodeURIComponent(id)}${search}`, signal),
  });
}

export function figuresQuery(model: ModelMeta, search: string) {
  return queryOptions({
    queryKey: [...documentKeys.model(model.name), 'figures', search],
    queryFn: ({ signal }) => read<FigureGroup[]>(`${model.path}/aggregate?${search}`, signal),
  });
}

export async function create(model: ModelMeta, body: JsonObject, key: string): Promise<Document> {
  return (await ask<Document>(model.path, { method: 'POST', body, headers: { 'Idempotency-Key': key } })).data;
}

/** Merge changes into the document as it was read, or not at all: another version is a 412. */
export async function patch(model: ModelMeta, id: string, changes: JsonObject, etag: string | null): Promise<Document> {
  const headers: Record<string, string> = etag === null ? {} : { 'If-Match': etag };
  const path = `${model.path}/${encodeURIComponent(id)}`;
  return (await ask<Document>(path, { method: 'PATCH', body: changes, headers })).data;
}

export async function remove(model: ModelMeta, id: string, etag: string | null): Promise<void> {
  const headers: Record<string, string> = etag === null ? {} : { 'If-Match': etag };
  await ask(`${model.path}/${encodeURIComponent(id)}`, { method: 'DELETE', headers });
}

export interface BulkResult {
  status: number;
  id?: string;
  run?: string;
  problem?: { code: string; detail: string };
}

export async function bulk(model: ModelMeta, body: JsonObject, key: string): Promise<BulkResult[]> {
  const { data } = await ask<Record<string, BulkResult[]>>(`${model.path}/bulk`, {
    method: 'POST',
    body,
    headers: { 'Idempotency-Key': key },
  });
  return Object.values(data).flat();
}
