/** Values as people read them. The browser's language decides about separators and dates. */

import type { Json } from '../api/types';

const locale = navigator.language;

/** A value as plain text: objects as JSON, nothing as nothing. */
export function text(value: Json | undefined): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const moneyFormats = new Map<string, Intl.NumberFormat>();

export function money(value: number, currency: string, decimals = 2): string {
  const key = `${currency}:${decimals}`;
  let format = moneyFormats.get(key);
  if (format === undefined) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    format = new Intl.NumberFormat(locale, { style: 'currency', currency, ...digits });
    moneyFormats.set(key, format);
  }
  return format.format(value);
}

const plain = new Intl.NumberFormat(locale, { maximumFractionDigits: 6 });

export function number(value: number): string {
  return plain.format(value);
}

const compactFormat = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 });

export function compact(value: number): string {
  return compactFormat.format(value);
}

const momentFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });
const dateFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' });
const clockFormat = new Intl.DateTimeFormat(locale, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hour12: false,
});

export function moment(value: string): string {
  return momentFormat.format(new Date(value));
}

export function day(value: string): string {
  return dayFormat.format(new Date(value));
}

export function clock(value: string): string {
  return clockFormat.format(new Date(value));
}

const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', Number.POSITIVE_INFINITY],
];

const FAR = 14 * 86_400;

/** `4 minutes ago`, `in 2 hours`; what is more than two weeks away is a date. */
export function fromNow(value: string, now = Date.now()): string {
  let amount = (new Date(value).getTime() - now) / 1000;
  if (Math.abs(amount) > FAR) return dateFormat.format(new Date(value));
  for (const [unit, most] of UNITS) {
    if (Math.abs(amount) < most) return relative.format(Math.round(amount), unit);
    amount /= most;
  }
  return dateFormat.format(new Date(value));
}

/** A duration in milliseconds: `24 ms`, `1.2 s`, `3 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const BYTES = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytes(value: number): string {
  let amount = value;
  let unit = 0;
  while (amount >= 1000 && unit < BYTES.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${number(Math.round(amount * 10) / 10)} ${BYTES[unit] ?? ''}`;
}
