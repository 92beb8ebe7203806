import { describe, expect, test } from 'vitest';

import type { JsonSchema } from '../api/types';
import { tree, valueTree, words } from './tree';

const schema: JsonSchema = {
  type: 'object',
  required: ['order_id', 'lines'],
  properties: {
    order_id: { type: 'string', title: 'Order Id', 'x-ref': 'Order' },
    note: { anyOf: [{ type: 'string', maxLength: 20 }, { type: 'null' }], default: null },
    price: { anyOf: [{ type: 'number', format: 'money' }, { type: 'string' }] },
    lines: { type: 'array', minItems: 1, items: { $ref: '#/$defs/Line' } },
    when: { type: 'string', format: 'date-time' },
    day: { type: 'string', format: 'date' },
    what: { anyOf: [{ type: 'string' }, { type: 'integer' }, { type: 'object' }] },
    state: { allOf: [{ $ref: '#/$defs/State' }], default: 'open' },
  },
  $defs: {
    Line: { type: 'object', properties: { quantity: { type: 'integer', minimum: 1 }, inner: { $ref: '#/$defs/Line' } }, required: ['quantity'] },
    State: { type: 'string', enum: ['open', 'closed'] },
  },
};

describe('a field tree', () => {
  const nodes = new Map(tree(schema).map((node) => [node.name, node]));

  test.each([
    ['order_id', 'ref'], ['note', 'string'], ['price', 'money'], ['lines', 'list'], ['when', 'datetime'], ['day', 'date'],
    ['what', 'json'], ['state', 'enum'],
  ])('takes %s for a %s', (name, kind) => {
    expect(nodes.get(name)?.kind).toBe(kind);
  }); // prettier-ignore

  test('takes `X | null` as X that may be left out', () => {
    expect(nodes.get('note')).toMatchObject({ nullable: true, required: false, initial: null, limits: { maxLength: 20 } });
  });

  test('calls a reference by what it refers to', () => {
    expect(nodes.get('order_id')).toMatchObject({ title: 'Order', target: 'Order', required: true });
  });

  test('follows definitions, and ends where they go round in circles', () => {
    const [quantity, inner] = nodes.get('lines')?.item?.fields ?? [];
    expect(quantity).toMatchObject({ kind: 'integer', limits: { minimum: 1 }, required: true });
    expect(inner?.kind).toBe('json');
  });

  test('has the values of an enum behind a reference, and its default', () => {
    expect(nodes.get('state')).toMatchObject({ values: ['open', 'closed'], initial: 'open' });
  });

  test('lets the metadata say what a schema cannot', () => {
    const fields = [
      { name: 'price', title: 'Price', kind: 'money' as const, required: true, decimals: 0, ui: { order: 2 } },
      { name: 'made', title: 'Made', kind: 'datetime' as const, required: false, readonly: true, ui: { order: 1 } },
    ];
    const found = tree(schema, fields);
    expect(found.map((node) => node.name)).toEqual(['made', 'price']);
    expect(found[1]).toMatchObject({ decimals: 0, required: true });
    expect(found[0]?.readonly).toBe(true);
  });

  test('is there for values that are no objects', () => {
    expect(valueTree({ type: 'array', items: { type: 'integer' } })).toMatchObject({ kind: 'list', item: { kind: 'integer' } });
  });
});

test('a title that only repeats the name is written as people write; one that somebody gave stays', () => {
  const properties = { pick_list_id: { type: 'string', title: 'Pick List Id' }, made_by: { type: 'string', title: 'Made By Whom' } };
  expect(tree({ type: 'object', properties }).map((node) => node.title)).toEqual(['Pick list id', 'Made By Whom']);
});

test('names become words', () => {
  expect(words('unit_price')).toBe('Unit price');
});
