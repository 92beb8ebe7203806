/** Values in forms: where a new one begins, what of it is sent, and what has changed. */

import type { Json, JsonObject } from '../api/types';
import type { Node } from './tree';

/** What a form holds for a field before anybody has written in it. */
export function initialValue(node: Node): Json {
  if (node.initial !== undefined) return node.initial;
  if (node.kind === 'list') return [];
  if (node.kind === 'boolean' && node.required) return false;
  if (node.kind === 'embedded' && node.required) return initialObject(node.fields);
  return null;
}

export function initialObject(nodes: readonly Node[]): JsonObject {
  return Object.fromEntries(nodes.map((node) => [node.name, initialValue(node)]));
}

/** What is sent for an object: what is empty or as it is by default is left for the server to fill in. */
export function sent(nodes: readonly Node[], value: JsonObject): JsonObject {
  const found: JsonObject = {};
  for (const node of nodes) {
    const given = value[node.name] ?? null;
    if (!node.required && node.initial !== undefined && same(given, node.initial)) continue;
    if (isEmpty(given) && !(node.kind === 'list' && node.required) && !blanked(node, given)) continue;
    found[node.name] = sentValue(node, given);
  }
  return found;
}

/** Whether a text that has a default was emptied on purpose. */
function blanked(node: Node, given: Json): boolean {
  return node.kind === 'string' && given === '' && typeof node.initial === 'string';
}

function sentValue(node: Node, value: Json): Json {
  if (node.kind === 'embedded' && isObject(value)) return sent(node.fields, value);
  if (node.kind === 'list' && Array.isArray(value) && node.item !== undefined) {
    const { item } = node;
    return value.map((entry) => sentValue(item, entry));
  }
  return value;
}

/** What a merge patch has to say for the fields that differ; null takes a field back to its default. */
export function changes(nodes: readonly Node[], before: JsonObject, now: JsonObject): JsonObject {
  const found: JsonObject = {};
  for (const node of nodes) {
    const old = before[node.name] ?? null;
    const given = now[node.name] ?? null;
    if (!same(old, given)) found[node.name] = isEmpty(given) ? emptied(node, given) : sentValue(node, given);
  }
  return found;
}

function emptied(node: Node, given: Json): Json {
  if (node.kind === 'list') return [];
  return node.kind === 'string' && !node.nullable ? (given ?? '') : null;
}

export function same(one: Json, two: Json): boolean {
  if (one === two) return true;
  if (Array.isArray(one) && Array.isArray(two)) {
    return one.length === two.length && one.every((entry, place) => same(entry, two[place] ?? null));
  }
  if (isObject(one) && isObject(two)) {
    const names = new Set([...Object.keys(one), ...Object.keys(two)]);
    return [...names].every((name) => same(one[name] ?? null, two[name] ?? null));
  }
  return false;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isEmpty(value: Json): boolean {
  return value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/** The value at a dotted path; of a list, of its first entry. */
export function at(value: Json | undefined, path: string): Json | undefined {
  let found: Json | undefined = value;
  for (const part of path.split('.')) {
    if (Array.isArray(found)) found = found[0];
    if (!isObject(found)) return undefined;
    found = found[part];
  }
  return found;
}
