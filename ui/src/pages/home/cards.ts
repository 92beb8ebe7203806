/** Cards of the home page, as figures that are asked for and drawn; everything here is pure. */

import type { FigureGroup } from '../../api/documents';
import type { CardMeta, ModelMeta } from '../../api/types';
import { text } from '../../components/format';
import type { Search } from '../../app/search';
import { parseSearch } from '../../app/search';

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `@today` is the beginning of this day, `@-7d` a week ago (also `h` and `m`): moments that a filter is relative to. */
export function resolveFilter(filter: string, now: Date): string {
  return filter.replaceAll(/@(today|-(\d+)([dhm]))/g, (_, word: string, amount?: string, unit?: string) => {
    const moment = new Date(now);
    if (word === 'today') moment.setHours(0, 0, 0, 0);
    else moment.setTime(now.getTime() - Number(amount) * UNITS[unit as keyof typeof UNITS]);
    moment.setSeconds(0, 0); // so that the same question is asked for a minute
    return moment.toISOString();
  });
}

export function linkOf(card: CardMeta, now: Date): Search {
  return parseSearch(resolveFilter(card.filter ?? '', now));
}

export type Bucket = 'hour' | 'day' | 'week' | 'month' | 'year';

/** A stretch of time as the API writes it, and the one after it. */
export function bucketKey(date: Date, bucket: Bucket): string {
  const iso = date.toISOString();
  switch (bucket) {
    case 'hour':
      return `${iso.slice(0, 13)}:00:00Z`;
    case 'day':
      return iso.slice(0, 10);
    case 'week': {
      const monday = new Date(date);
      monday.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
      return monday.toISOString().slice(0, 10);
    }
    case 'month':
      return iso.slice(0, 7);
    case 'year':
      return iso.slice(0, 4);
  }
}

export function back(date: Date, bucket: Bucket, count: number): Date {
  const found = new Date(date);
  if (bucket === 'hour') found.setUTCHours(found.getUTCHours() - count);
  else if (bucket === 'day') found.setUTCDate(found.getUTCDate() - count);
  else if (bucket === 'week') found.setUTCDate(found.getUTCDate() - 7 * count);
  else if (bucket === 'month') found.setUTCMonth(found.getUTCMonth() - count, 1);
  else found.setUTCFullYear(found.getUTCFullYear() - count);
  return found;
}

export interface Point {
  at: string;
  value: number;
}

/** What is asked for a chart: its stretches of time, from the first that it shows on. */
export function chartQuery(card: CardMeta, now: Date): string {
  const { path, bucket } = bucketOf(card);
  const parts = [resolveFilter(card.filter ?? '', now), `bucket=${path}:${bucket}`];
  if (card.field !== undefined) parts.push(`${measure(card)}=${card.field}`);
  const from = startOf(back(now, bucket, card.span - 1), bucket);
  parts.push(`${path}[gte]=${from.toISOString()}`);
  return parts.filter((part) => part !== '').join('&');
}

function startOf(date: Date, bucket: Bucket): Date {
  const key = bucketKey(date, bucket);
  return new Date(bucket === 'month' ? `${key}-01T00:00:00Z` : bucket === 'year' ? `${key}-01-01T00:00:00Z` : bucket === 'hour' ? key : `${key}T00:00:00Z`);
}

export function bucketOf(card: CardMeta): { path: string; bucket: Bucket } {
  const [path = 'created_at', bucket = 'day'] = (card.bucket ?? 'created_at:day').split(':');
  return { path, bucket: bucket as Bucket };
}

export function measure(card: CardMeta): 'sum' | 'avg' {
  return card.kind === 'average' || card.measure === 'average' ? 'avg' : 'sum';
}

/** One point for each stretch up to now; where nothing was, a sum is zero and an average is not there. */
export function points(card: CardMeta, groups: readonly FigureGroup[], now: Date): Point[] {
  const { path, bucket } = bucketOf(card);
  const byKey = new Map(groups.map((group) => [normal(text(group.group[path]), bucket), group]));
  const found: Point[] = [];
  for (let place = card.span - 1; place >= 0; place -= 1) {
    const key = bucketKey(back(now, bucket, place), bucket);
    found.push({ at: key, value: valueOf(card, byKey.get(key)) });
  }
  return found;
}

function normal(key: string, bucket: Bucket): string {
  return bucket === 'hour' ? `${key.slice(0, 13)}:00:00Z` : key.slice(0, bucket === 'month' ? 7 : bucket === 'year' ? 4 : 10);
}

export function valueOf(card: CardMeta, group: FigureGroup | undefined): number {
  if (group === undefined) return 0;
  if (card.field === undefined) return group.count;
  return group[measure(card)]?.[card.field] ?? 0;
}

export function numberQuery(card: CardMeta, now: Date): string {
  const field = card.field === undefined ? '' : `${measure(card)}=${card.field}`;
  return [resolveFilter(card.filter ?? '', now), field].filter((part) => part !== '').join('&');
}

export function breakdownQuery(card: CardMeta, now: Date): string {
  return [resolveFilter(card.filter ?? '', now), `group=${card.group ?? ''}`].filter((part) => part !== '').join('&');
}

export function listQueryOf(card: CardMeta, model: ModelMeta, now: Date): string {
  const shown = card.columns ?? [];
  const expand = model.expands.filter((name) => shown.some((path) => path.replace(/_id$/, '') === name));
  const parts = [resolveFilter(card.filter ?? '', now), `limit=${card.limit}`, 'count=true'];
  if (expand.length > 0) parts.push(`expand=${expand.join(',')}`);
  return parts.filter((part) => part !== '').join('&');
}
