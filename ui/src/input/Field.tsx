/** How a value of each kind is written: one registry for forms of documents, of operations and of filters. */

import { Skeleton } from '@mantine/core';
import { lazy, Suspense, type ComponentType } from 'react';

import type { Kind } from '../api/types';
import { ChoiceField, JsonField, MoneyField, NumberField, SwitchField, TextField } from './plain';
import { ReferenceField } from './ReferenceField';
import { EmbeddedField, ListField } from './Structure';
import type { InputProps } from './types';

const MomentField = lazy(async () => ({ default: (await import('./MomentField')).MomentField }));
const DayField = lazy(async () => ({ default: (await import('./MomentField')).DayField }));

type Simple = Exclude<Kind, 'list' | 'embedded'>;

const INPUTS: Readonly<Record<Simple, ComponentType<InputProps>>> = {
  string: TextField,
  integer: NumberField,
  number: NumberField,
  boolean: SwitchField,
  money: MoneyField,
  datetime: MomentField,
  date: DayField,
  enum: ChoiceField,
  ref: ReferenceField,
  json: JsonField,
};

type FieldProps = Omit<InputProps, 'error'> & { errors: ReadonlyMap<string, string> };

export function Field({ errors, ...rest }: FieldProps) {
  const props = { ...rest, error: errors.get(rest.pointer) ?? null };
  const { kind } = rest.node;
  if (kind === 'list') return <ListField {...props} errors={errors} />;
  if (kind === 'embedded') return <EmbeddedField {...props} errors={errors} />;
  const Input = INPUTS[kind];
  return (
    <Suspense fallback={<Skeleton height={36} mt={rest.labelled ? 24 : 0} />}>
      <Input {...props} />
    </Suspense>
  );
}
