import { expect, test } from 'vitest';

import type { CardMeta } from '../../api/types';
import { bucketKey, chartQuery, points, resolveFilter } from './cards';

const now = new Date('2025-10-30T14:35:20Z');
const card = { kind: 'chart', bucket: 'created_at:day', field: 'total', measure: 'sum', span: 3 } as CardMeta;

test('moments that a filter is relative to become moments', () => {
  expect(resolveFilter('at[gte]=@-2h&b=1', now)).toBe('at[gte]=2025-10-30T12:35:00.000Z&b=1');
  expect(resolveFilter('at[gte]=@today', now)).toMatch(/at\[gte\]=2025-10-\d\dT\d\d:00:00\.000Z/);
});

test('stretches of time are written as the API writes them', () => {
  expect(['hour', 'day', 'week', 'month', 'year'].map((bucket) => bucketKey(now, bucket as 'day'))).toEqual([
    '2025-10-30T14:00:00Z', '2025-10-30', '2025-10-27', '2025-10', '2025',
  ]); // prettier-ignore
});

test('a chart asks for its days, and has a point for each, also where nothing was', () => {
  expect(chartQuery(card, now)).toBe('bucket=created_at:day&sum=total&created_at[gte]=2025-10-28T00:00:00.000Z');
  expect(points(card, [{ group: { created_at: '2025-10-29' }, count: 2, sum: { total: 7.5 } }], now)).toEqual([
    { at: '2025-10-28', value: 0 },
    { at: '2025-10-29', value: 7.5 },
    { at: '2025-10-30', value: 0 },
  ]);
});
