import { QueryClient } from '@tanstack/react-query';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { documentKeys } from '../api/documents';
import { Invalidation } from './Live';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('what shows something of a changed model is read again, and nothing else', async () => {
  const client = new QueryClient();
  const queries = {
    books: { queryKey: [...documentKeys.model('Book'), 'list', ''], meta: { shows: ['Person'] } },
    shelves: { queryKey: [...documentKeys.model('Shelf'), 'list', ''], meta: { shows: [] } },
    people: { queryKey: [...documentKeys.model('Person'), 'list', ''] },
  };
  for (const query of Object.values(queries)) await client.query({ ...query, queryFn: () => 1, staleTime: Infinity });
  const invalidation = new Invalidation(client);
  invalidation.of({ type: 'document.changed', model: 'Person', id: 'person_1' });
  await vi.advanceTimersByTimeAsync(1000);
  const stale = (query: { queryKey: readonly unknown[] }) => client.getQueryState(query.queryKey)?.isInvalidated;
  expect([stale(queries.books), stale(queries.shelves), stale(queries.people)]).toEqual([true, false, true]);
});
