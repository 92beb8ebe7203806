/** A list's state is its address: search, filters, order and page; everything here is pure. */

import type { Search } from '../../app/search';
import type { ModelMeta } from '../../api/types';

export interface Filter {
  path: string;
  operator: string;
  value: string;
}

export interface ListState {
  q: string;
  filters: Filter[];
  sort: string;
  page: number;
  rows: number | 'all';
}

export const ROWS = [25, 50, 100] as const;
const DEFAULT_ROWS = 50;
const OWN = new Set(['q', 'sort', 'page', 'rows']);
/** The greatest offset that the API takes. */
const DEEPEST = 100_000;

const one = (search: Search, name: string): string => {
  const value = search[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
};

export function parseState(search: Search, model: ModelMeta): ListState {
  const known = new Map(model.filters.map((filter) => [filter.path, filter.operators]));
  const filters: Filter[] = [];
  for (const [name, given] of Object.entries(search)) {
    const [, path = '', operator = 'eq'] = /^([^[\]]+)(?:\[([a-z]+)\])?$/.exec(name) ?? [];
    if (OWN.has(name) || given === undefined || known.get(path)?.includes(operator) !== true) continue;
    for (const value of Array.isArray(given) ? given : [given]) filters.push({ path, operator, value });
  }
  const rows = one(search, 'rows');
  return {
    q: one(search, 'q'),
    filters,
    sort: one(search, 'sort') || firstSort(model),
    page: Math.max(1, Math.min(Number.parseInt(one(search, 'page'), 10) || 1, DEEPEST / 25)),
    rows: rows === 'all' ? 'all' : (ROWS.find((each) => String(each) === rows) ?? DEFAULT_ROWS),
  };
}

export function toSearch(state: ListState, model: ModelMeta): Search {
  const search: Record<string, string | string[]> = {};
  for (const filter of state.filters) {
    const name = filter.operator === 'eq' ? filter.path : `${filter.path}[${filter.operator}]`;
    const before = search[name];
    search[name] = before === undefined ? filter.value : [...(Array.isArray(before) ? before : [before]), filter.value];
  }
  if (state.q !== '') search.q = state.q;
  if (state.sort !== firstSort(model)) search.sort = state.sort;
  if (state.page > 1) search.page = String(state.page);
  if (state.rows !== DEFAULT_ROWS) search.rows = String(state.rows);
  return search;
}

function firstSort(model: ModelMeta): string {
  return model.ui.sort ?? '-created_at';
}

/** What the state asks of the API, without the page: filters, search and order. */
export function toQuery(state: ListState): URLSearchParams {
  const query = new URLSearchParams();
  for (const filter of state.filters) {
    query.append(filter.operator === 'eq' ? filter.path : `${filter.path}[${filter.operator}]`, filter.value);
  }
  if (state.q !== '') query.set('q', state.q);
  if (state.sort !== '-created_at') query.set('sort', state.sort);
  return query;
}

export function pageQuery(state: ListState, size: number, page: number, expand: readonly string[]): string {
  const query = toQuery(state);
  query.set('limit', String(size));
  if (page > 1) query.set('offset', String((page - 1) * size));
  query.set('count', 'true');
  if (expand.length > 0) query.set('expand', expand.join(','));
  return query.toString();
}

export function nextSort(state: ListState, path: string): string {
  return state.sort === path ? `-${path}` : path;
}

export function isFiltered(state: ListState): boolean {
  return state.q !== '' || state.filters.length > 0;
}
