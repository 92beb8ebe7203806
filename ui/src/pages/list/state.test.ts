import { expect, test } from 'vitest';

import type { ModelMeta } from '../../api/types';
import { parseSearch, stringifySearch } from '../../app/search';
import { nextSort, pageQuery, parseState, toSearch } from './state';

const model = {
  ui: {},
  filters: [
    { path: 'status', operators: ['eq', 'in'] },
    { path: 'total', operators: ['eq', 'gte'] },
  ],
} as unknown as ModelMeta;

const state = (address: string) => parseState(parseSearch(address), model);

test('an address says all of a list, and comes out as it went in', () => {
  const address = '?status=open&status=done&total[gte]=10&q=curie&sort=-total&page=3&rows=100';
  const read = state(address);
  expect(read).toMatchObject({ q: 'curie', sort: '-total', page: 3, rows: 100 });
  expect(read.filters).toHaveLength(3);
  expect(parseSearch(stringifySearch(toSearch(read, model)))).toEqual(parseSearch(address));
});

test('what means nothing is left out', () => {
  expect(state('?nope=1&status[gte]=2&page=-4&rows=7').filters).toEqual([]);
  expect(state('?page=-4&rows=7')).toMatchObject({ page: 1, rows: 50 });
});

test('a page is asked for by its place, with a count and what its columns refer to', () => {
  const query = new URLSearchParams(pageQuery(state('?status[in]=a,b&page=3'), 50, 3, ['customer']));
  expect(Object.fromEntries(query)).toEqual({ 'status[in]': 'a,b', limit: '50', offset: '100', count: 'true', expand: 'customer' });
});

test('a second click on a heading turns the order round', () => {
  expect(nextSort(state('?sort=total'), 'total')).toBe('-total');
  expect(nextSort(state('?sort=-total'), 'total')).toBe('total');
});
