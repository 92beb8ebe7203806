import { expect, test } from 'vitest';

import { listQuery } from './documents';
import { Catalogue, may, soleReference } from './meta';
import type { Meta, ModelMeta, OperationMeta } from './types';

const ref = (name: string, target: string) => ({ name, title: name, kind: 'ref' as const, target, required: true });
const model = {
  name: 'Book',
  path: '/books',
  actions: ['list', 'get'],
  fields: [
    ref('author_id', 'Person'),
    { name: 'lines', title: 'Lines', kind: 'list', required: true, item: { name: '', title: '', kind: 'embedded', required: true, fields: [ref('shelf_id', 'Shelf')] } },
  ],
} as unknown as ModelMeta;

function operation(name: string, rights: string[], fields: unknown[]): OperationMeta {
  return { name, may: rights, fields, ui: {}, undoes: [] } as unknown as OperationMeta;
}

const lend = operation('lend', ['call'], [ref('book_id', 'Book')]);
const sell = operation('sell', [], [ref('book_id', 'Book')]);
const move = operation('move', ['call'], [ref('book_id', 'Book'), ref('shelf_id', 'Shelf')]);
const catalogue = new Catalogue({
  models: [model],
  operations: [lend, sell, move],
  flows: [{ name: 'all', may: [], plan: { steps: [{}] }, fields: [ref('book_id', 'Book')] }],
  runs: { may: ['list'] },
} as unknown as Meta);

test('only what the caller may call is offered for a document, and no flow that he may not start', () => {
  expect(catalogue.operationsOn(model)).toEqual([lend, move]);
  expect(catalogue.flowsOn(model)).toEqual([]);
  expect([may(model, 'get'), may(model, 'delete')]).toEqual([true, false]);
  expect([catalogue.mayRuns('list'), catalogue.mayRuns('cancel')]).toEqual([true, false]);
});

test('an operation can be called on many documents when one is all that it needs', () => {
  expect([soleReference(lend, model), soleReference(move, model)]).toEqual(['book_id', null]);
});

test('a list knows of which other models it shows something: those that it expands, nested ones too', () => {
  expect(listQuery(model, 'limit=5').meta).toEqual({ shows: [] });
  expect(listQuery(model, 'limit=5&expand=author').meta).toEqual({ shows: ['Person'] });
  expect(listQuery(model, 'expand=author,lines.shelf').meta).toEqual({ shows: ['Person', 'Shelf'] });
});
