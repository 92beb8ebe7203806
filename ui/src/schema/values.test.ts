import { describe, expect, test } from 'vitest';

import type { JsonSchema } from '../api/types';
import { nearest, replaced, valueAt } from './pointers';
import { tree } from './tree';
import { at, changes, initialObject, same, sent } from './values';

const schema: JsonSchema = {
  required: ['name', 'lines'],
  properties: {
    name: { type: 'string' },
    phone: { type: 'string', default: '' },
    limit: { anyOf: [{ type: 'integer' }, { type: 'null' }], default: null },
    lines: { type: 'array', items: { type: 'object', properties: { text: { type: 'string' }, size: { type: 'integer' } } } },
  },
};
const nodes = tree(schema);

describe('a form', () => {
  test('begins with defaults, empty lists and nothing else', () => {
    expect(initialObject(nodes)).toEqual({ name: null, phone: '', limit: null, lines: [] });
  });

  test('leaves out what nobody has filled in', () => {
    expect(sent(nodes, { name: 'Ada', phone: '', limit: null, lines: [{ text: 'one', size: null }] })).toEqual({
      name: 'Ada',
      lines: [{ text: 'one' }],
    });
    expect(sent(tree({ properties: { currency: { type: 'string', default: 'USD' } } }), { currency: '' })).toEqual({ currency: '' });
  });

  test('sends only what has changed, and null for what was emptied', () => {
    const before = { name: 'Ada', phone: '1', limit: 3, lines: [{ text: 'one' }] };
    expect(changes(nodes, before, { ...before })).toEqual({});
    expect(changes(nodes, before, { ...before, limit: null, phone: '', lines: [] })).toEqual({ limit: null, phone: '', lines: [] });
  });
});

test('values are the same whatever the order of their names', () => {
  expect(same({ a: 1, b: [1, { c: null }] }, { b: [1, {}], a: 1 })).toBe(true);
  expect(same([1, 2], [2, 1])).toBe(false);
});

test('a dotted path leads through lists to their first entry', () => {
  expect(at({ items: [{ product: { name: 'Mug' } }] }, 'items.product.name')).toBe('Mug');
});

describe('pointers', () => {
  test('lead to a value, and replace it without touching what was given', () => {
    const given = { items: [{ a: 1 }, { a: 2 }] };
    const next = replaced(given, '/items/1/a', 9);
    expect(valueAt(next, '/items/1/a')).toBe(9);
    expect(given.items[1]?.a).toBe(2);
  });

  test('with the tags of unions in them belong to the field that is drawn', () => {
    const drawn = new Set(['/payment', '/items/0/quantity']);
    expect(nearest('/payment/card/number', drawn)).toBe('/payment');
    expect(nearest('/items/0/quantity', drawn)).toBe('/items/0/quantity');
    expect(nearest('/other', drawn)).toBeNull();
  });
});
