/** JSON pointers (RFC 6901): how errors name the field they are about. */

import type { Json } from '../api/types';
import { isObject } from './values';

export function below(pointer: string, part: string | number): string {
  return `${pointer}/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

export function parts(pointer: string): string[] {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value with another one at the pointer; nothing that was given is changed. */
export function replaced(value: Json, pointer: string, next: Json): Json {
  const [first, ...rest] = parts(pointer);
  if (first === undefined) return next;
  const tail = rest.reduce(below, '');
  if (Array.isArray(value)) {
    return value.map((entry, place) => (String(place) === first ? replaced(entry, tail, next) : entry));
  }
  const object = isObject(value) ? value : {};
  return { ...object, [first]: replaced(object[first] ?? null, tail, next) };
}

export function valueAt(value: Json, pointer: string): Json | undefined {
  return parts(pointer).reduce<Json | undefined>((found, part) => {
    if (Array.isArray(found)) return found[Number(part)];
    return isObject(found) ? found[part] : undefined;
  }, value);
}

/**
 * The field that an error belongs to: the longest beginning of its pointer that is drawn. Pydantic puts the tags of
 * unions into its locations, which no field has.
 */
export function nearest(pointer: string, drawn: ReadonlySet<string>): string | null {
  for (let found = pointer; found !== ''; found = found.slice(0, found.lastIndexOf('/'))) {
    if (drawn.has(found)) return found;
  }
  return null;
}
