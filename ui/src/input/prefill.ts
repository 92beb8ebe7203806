import type { Search } from '../app/search';
import type { Json, JsonObject } from '../api/types';
import type { Node } from '../schema/tree';

/** What an address says of a form's fields: `?order_id=order_1&quantity=2`. */
export function prefilled(nodes: readonly Node[], search: Search): JsonObject {
  const found: JsonObject = {};
  for (const node of nodes) {
    const given = search[node.name];
    const text = Array.isArray(given) ? given[0] : given;
    if (text !== undefined) found[node.name] = valueOf(node, text);
  }
  return found;
}

function valueOf(node: Node, text: string): Json {
  switch (node.kind) {
    case 'integer':
    case 'number':
    case 'money':
      return Number.isFinite(Number(text)) ? Number(text) : text;
    case 'boolean':
      return text === 'true';
    case 'list':
    case 'embedded':
    case 'json':
      return parsed(text);
    default:
      return text;
  }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
