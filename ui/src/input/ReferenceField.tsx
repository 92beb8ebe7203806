import { Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { documentQuery, listQuery } from '../api/documents';
import { may, useCatalogue } from '../api/meta';
import type { Document, Json, JsonObject, ModelMeta } from '../api/types';
import { entriesOf } from '../display/model';
import { titleOf, useTitle } from '../display/titles';
import { summary } from '../display/Value';
import type { Node } from '../schema/tree';
import { isObject } from '../schema/values';
import { asText, common } from './common';
import type { InputProps } from './types';

const OPTIONS = 20;

/** A reference: found by its title. To an entry inside another document: chosen from that document's entries. */
export function ReferenceField(props: InputProps) {
  const catalogue = useCatalogue();
  const { target, within: holder } = props.node;
  const model = catalogue.model(target);
  const around = catalogue.meta.models.find((each) => entriesOf(each, target) !== undefined);
  if (holder !== undefined && around !== undefined) return <EntryField {...props} holder={holder} model={around} />;
  if (model !== undefined && may(model, 'list')) return <DocumentField {...props} model={model} />;
  return <IdField {...props} />;
}

function IdField(props: InputProps) {
  const { value, onChange } = props;
  return (
    <TextInput {...common(props)} value={asText(value)} onChange={(event) => onChange(event.currentTarget.value)} />
  );
}

function DocumentField(props: InputProps & { model: ModelMeta }) {
  const { t } = useTranslation();
  const { node, value, onChange, model } = props;
  const id = typeof value === 'string' && value !== '' ? value : null;
  const title = useTitle(id === null ? undefined : model, id ?? '');
  const [text, setText] = useState('');
  const [asked] = useDebouncedValue(text === title ? '' : text, 200);
  const { data, isFetching } = useQuery(listQuery(model, search(model, asked)));
  const found = (data?.documents ?? []).map((document) => ({ value: document.id, label: titleOf(model, document) }));
  const options = id === null || found.some((option) => option.value === id) ? found : [{ value: id, label: title }, ...found];
  return (
    <Select
      {...common(props)}
      data={unique(options)}
      value={id}
      onChange={onChange}
      searchable
      searchValue={text}
      onSearchChange={setText}
      filter={({ options: all }) => all}
      clearable={!node.required}
      placeholder={t('form.choose', { what: model.title.toLowerCase() })}
      nothingFoundMessage={isFetching ? t('common.loading') : t('form.nothingFound')}
      maxDropdownHeight={280}
    />
  );
}

function search(model: ModelMeta, text: string): string {
  const parameters = new URLSearchParams({ limit: String(OPTIONS) });
  if (model.label !== 'id') parameters.set('fields', model.label);
  if (text !== '') parameters.set('q', text);
  else if (model.sorts.includes(model.label)) parameters.set('sort', model.label);
  return parameters.toString();
}

/** Titles need not be unique, and Mantine takes each value once. */
function unique(options: { value: string; label: string }[]): { value: string; label: string }[] {
  return [...new Map(options.map((option) => [option.value, option])).values()];
}

function EntryField(props: InputProps & { holder: string; model: ModelMeta }) {
  const { t } = useTranslation();
  const { node, value, onChange, within, holder, model } = props;
  const id = within[holder];
  const chosen = typeof id === 'string' && id !== '' ? id : null;
  const { data } = useQuery({ ...documentQuery(model, chosen ?? ''), enabled: chosen !== null });
  const options = data === undefined ? [] : entryOptions(entriesOf(model, node.target), data.document);
  return (
    <Select
      {...common(props)}
      data={options}
      value={typeof value === 'string' ? value : null}
      onChange={onChange}
      disabled={chosen === null || node.readonly}
      clearable={!node.required}
      placeholder={chosen === null ? t('form.chooseFirst', { field: model.title.toLowerCase() }) : ''}
      nothingFoundMessage={t('form.nothingFound')}
    />
  );
}

function entryOptions(list: Node | undefined, document: Document): { value: string; label: string }[] {
  const entries: Json = list === undefined ? [] : (document[list.name] ?? []);
  if (!Array.isArray(entries)) return [];
  return entries
    .filter((entry): entry is JsonObject & { id: string } => isObject(entry) && typeof entry.id === 'string')
    .map((entry) => ({ value: entry.id, label: summary(list?.item?.fields ?? [], entry) || entry.id }));
}
