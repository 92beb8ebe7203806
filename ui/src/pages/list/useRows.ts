/** The rows of a list: one page of them, or all, of which only the pages in sight are asked for. */

import { useQueries, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { listQuery } from '../../api/documents';
import type { Document, ModelMeta } from '../../api/types';
import type { Column } from '../../display/model';
import { pageQuery, type ListState } from './state';

const CHUNK = 100;

export interface Rows {
  total: number | null;
  /** How many rows the table has. */
  count: number;
  /** The document in a row; undefined while it is on its way. */
  at: (row: number) => Document | undefined;
  scrolling: boolean;
  see: (from: number, to: number) => void;
  refetching: boolean;
  error: Error | null;
  retry: () => void;
}

export function useRows(model: ModelMeta, state: ListState, columns: readonly Column[]): Rows {
  const expand = expansions(model, columns);
  const scrolling = state.rows === 'all';
  const size = state.rows === 'all' ? CHUNK : state.rows;
  const page = scrolling ? 1 : state.page;
  const first = useQuery(listQuery(model, pageQuery(state, size, page, expand)));
  const total = first.data?.total ?? null;

  const [sight, setSight] = useState({ from: 0, to: 0 });
  const chunks = scrolling ? chunksOf(sight.from, Math.min(sight.to, (total ?? 1) - 1)) : [];
  const parts = useQueries({
    queries: chunks.map((chunk) => listQuery(model, pageQuery(state, CHUNK, chunk + 1, expand))),
  });
  const found = new Map(chunks.map((chunk, place) => [chunk, parts[place]?.data?.documents]));

  const at = (row: number): Document | undefined => {
    if (!scrolling) return first.data?.documents[row];
    const chunk = Math.floor(row / CHUNK);
    return (chunk === 0 ? first.data?.documents : found.get(chunk))?.[row % CHUNK];
  };
  return {
    total,
    count: scrolling ? (total ?? 0) : (first.data?.documents.length ?? 0),
    at,
    scrolling,
    see: (from, to) => {
      if (from !== sight.from || to !== sight.to) setSight({ from, to });
    },
    refetching: first.isFetching && first.data !== undefined,
    error: first.error,
    retry: () => void first.refetch(),
  };
}

function chunksOf(from: number, to: number): number[] {
  const found: number[] = [];
  for (let chunk = Math.floor(from / CHUNK); chunk <= Math.floor(to / CHUNK); chunk += 1) found.push(chunk);
  return found;
}

/** What has to be expanded so that references in these columns have titles. */
function expansions(model: ModelMeta, columns: readonly Column[]): string[] {
  const wanted = columns.filter((column) => column.node.kind === 'ref').map((column) => column.path.replace(/_id$/, ''));
  return model.expands.filter((name) => wanted.includes(name));
}
