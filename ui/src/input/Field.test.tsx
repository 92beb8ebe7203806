import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, expect, test } from 'vitest';

import { Catalogue, CatalogueContext } from '../api/meta';
import type { Json, JsonSchema, Meta } from '../api/types';
import { tree } from '../schema/tree';
import { initialObject } from '../schema/values';
import { Fields } from './Structure';

const meta = { models: [], operations: [], flows: [], ui: { currency: 'EUR' } } as unknown as Meta;
const catalogue = new Catalogue(meta);
const schema: JsonSchema = {
  required: ['name', 'count'],
  properties: {
    name: { type: 'string', title: 'Name' },
    count: { type: 'integer', title: 'Count' },
    price: { type: 'number', format: 'money', title: 'Price' },
    open: { type: 'boolean', title: 'Open' },
    lines: { type: 'array', title: 'Lines', items: { type: 'object', properties: { text: { type: 'string', title: 'Text' } } } },
    raw: { title: 'Raw' },
  },
};
const nodes = tree(schema);

afterEach(cleanup);

function Written({ errors = new Map<string, string>(), say }: { errors?: ReadonlyMap<string, string>; say?: (value: Json) => void }) {
  const [value, setValue] = useState(initialObject(nodes));
  return (
    <MantineProvider>
      <QueryClientProvider client={new QueryClient()}>
        <CatalogueContext value={catalogue}>
          <Fields
            nodes={nodes}
            value={value}
            onChange={(next) => {
              setValue(next);
              say?.(next);
            }}
            pointer=""
            errors={errors}
            disabled={false}
          />
        </CatalogueContext>
      </QueryClientProvider>
    </MantineProvider>
  );
}

test('every kind has an input that is called by its title', () => {
  render(<Written />);
  for (const name of ['Name', 'Count', 'Price', 'Open', 'Raw']) {
    expect(screen.getByLabelText(new RegExp(`^${name}`))).toBeTruthy();
  }
});

test('rows are added, written and removed, and numbers are numbers', () => {
  let value: Json = null;
  render(<Written say={(next) => (value = next)} />);
  fireEvent.click(screen.getByText('Add row'));
  fireEvent.change(screen.getByLabelText('Text'), { target: { value: 'one' } });
  fireEvent.change(screen.getByLabelText(/^Count/), { target: { value: '3' } });
  expect(value).toMatchObject({ lines: [{ text: 'one' }], count: 3 });
  fireEvent.click(screen.getByLabelText('Remove row 1'));
  expect(value).toMatchObject({ lines: [] });
});

test('an error stands at the field that its pointer names', () => {
  render(<Written errors={new Map([['/count', 'Too few']])} />);
  const input = screen.getByLabelText(/^Count/);
  expect(input.getAttribute('aria-invalid')).toBe('true');
  expect(screen.getByText('Too few')).toBeTruthy();
});

test('JSON that is none is said to be none', () => {
  render(<Written />);
  const input = screen.getByLabelText(/^Raw/);
  fireEvent.change(input, { target: { value: '{' } });
  fireEvent.blur(input);
  expect(screen.getByText('This is not JSON')).toBeTruthy();
});
