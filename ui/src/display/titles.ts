/** Titles of documents that are referred to, asked for together: one request for all of a model that a page shows. */

import { useQuery } from '@tanstack/react-query';

import { read } from '../api/client';
import { documentKeys } from '../api/documents';
import { may } from '../api/meta';
import type { Document, ModelMeta } from '../api/types';

const MOST = 100;

interface Waiting {
  ids: Set<string>;
  promise: Promise<Map<string, string>>;
}

const waiting = new Map<string, Waiting>();

function gather(model: ModelMeta, id: string): Promise<string> {
  let batch = waiting.get(model.name);
  if (batch === undefined || batch.ids.size >= MOST) {
    const ids = new Set<string>();
    const promise = new Promise<void>((resolve) => setTimeout(resolve, 10)).then(() => {
      if (waiting.get(model.name)?.ids === ids) waiting.delete(model.name);
      return fetchTitles(model, [...ids]);
    });
    batch = { ids, promise };
    waiting.set(model.name, batch);
  }
  batch.ids.add(id);
  return batch.promise.then((titles) => titles.get(id) ?? id);
}

async function fetchTitles(model: ModelMeta, ids: string[]): Promise<Map<string, string>> {
  const named = ids.map(encodeURIComponent).join(',');
  const path = `${model.path}?id[in]=${named}&fields=${model.label}&limit=${ids.length}`;
  const documents = await read<Document[]>(path);
  return new Map(documents.map((document) => [document.id, titleOf(model, document)]));
}

export function titleOf(model: ModelMeta, document: Document): string {
  const value = document[model.label];
  return typeof value === 'string' && value !== '' ? value : document.id;
}

/** The title of a document by its id; the id itself until it is known, and where it cannot be asked for. */
export function useTitle(model: ModelMeta | undefined, id: string, known?: string): string {
  const wanted = model !== undefined && known === undefined && model.label !== 'id' && may(model, 'list');
  const { data } = useQuery({
    queryKey: [...documentKeys.model(model?.name ?? ''), 'title', id],
    queryFn: () => (model === undefined ? id : gather(model, id)),
    enabled: wanted,
    staleTime: 60_000,
  });
  return known ?? data ?? id;
}
