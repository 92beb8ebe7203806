import { NumberInput, Select, Switch, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useCatalogue } from '../api/meta';
import type { Json } from '../api/types';
import { text } from '../components/format';
import { enumTitle } from '../display/enums';
import { asText, common } from './common';
import type { InputProps } from './types';

const TYPES: Readonly<Record<string, string>> = { email: 'email', url: 'url', phone: 'tel' };

export function TextField(props: InputProps) {
  const { node, value, onChange } = props;
  const { maxLength } = node.limits;
  const shared = {
    ...common(props),
    ...(maxLength === undefined ? {} : { maxLength }),
    value: asText(value),
    autoComplete: 'off',
    onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value),
  };
  if (node.ui.widget === 'textarea' || node.ui.widget === 'code') {
    return <Textarea {...shared} autosize minRows={3} maxRows={14} />;
  }
  return <TextInput {...shared} type={TYPES[node.ui.widget ?? ''] ?? 'text'} />;
}

export function NumberField(props: InputProps) {
  const { node, value, onChange } = props;
  return (
    <NumberInput
      {...common(props)}
      value={typeof value === 'number' || typeof value === 'string' ? value : ''}
      onChange={(next) => onChange(next === '' ? null : next)}
      allowDecimal={node.kind !== 'integer'}
      clampBehavior="none"
      {...(node.ui.unit === undefined ? {} : { suffix: ` ${node.ui.unit}` })}
    />
  );
}

export function MoneyField(props: InputProps) {
  const { node, value, onChange, within } = props;
  const { meta } = useCatalogue();
  const beside = within[node.ui.currency ?? 'currency'];
  const currency = typeof beside === 'string' && /^[A-Z]{3}$/.test(beside) ? beside : meta.ui.currency;
  return (
    <NumberInput
      {...common(props)}
      value={typeof value === 'number' || typeof value === 'string' ? value : ''}
      onChange={(next) => onChange(next === '' ? null : next)}
      decimalScale={node.decimals}
      prefix={`${symbol(currency)} `}
      hideControls
      clampBehavior="none"
    />
  );
}

function symbol(currency: string): string {
  const parts = new Intl.NumberFormat(navigator.language, { style: 'currency', currency }).formatToParts(0);
  return parts.find((part) => part.type === 'currency')?.value ?? currency;
}

export function SwitchField(props: InputProps) {
  const { t } = useTranslation();
  const { node, value, onChange } = props;
  if (node.nullable) {
    const options = [
      { value: 'true', label: t('common.yes') },
      { value: 'false', label: t('common.no') },
    ];
    const chosen = typeof value === 'boolean' ? String(value) : null;
    return (
      <Select
        {...common(props)}
        data={options}
        value={chosen}
        clearable
        onChange={(next) => onChange(next === null ? null : next === 'true')}
      />
    );
  }
  const { withAsterisk: _, required: __, ...shared } = { withAsterisk: false, ...common(props) };
  return (
    <Switch
      {...shared}
      checked={value === true}
      onChange={(event) => onChange(event.currentTarget.checked)}
      mt={props.labelled ? 26 : 8}
    />
  );
}

export function ChoiceField(props: InputProps) {
  const { t } = useTranslation();
  const { node, value, onChange } = props;
  const byText = new Map(node.values.map((each) => [String(each), each]));
  return (
    <Select
      {...common(props)}
      data={node.values.map((each) => ({ value: String(each), label: enumTitle(each) }))}
      value={value === null ? null : text(value)}
      onChange={(next) => onChange(next === null ? null : (byText.get(next) ?? next))}
      clearable={!node.required}
      searchable={node.values.length > 8}
      placeholder={props.labelled ? '' : t('form.choose', { what: node.title.toLowerCase() })}
      nothingFoundMessage={t('form.nothingFound')}
    />
  );
}

export function JsonField(props: InputProps) {
  const { t } = useTranslation();
  const { value, onChange } = props;
  const [written, setWritten] = useState(() => (value === null ? '' : JSON.stringify(value, null, 2)));
  const [broken, setBroken] = useState(false);
  const leave = () => {
    const parsed = parse(written);
    setBroken(parsed === undefined);
    if (parsed !== undefined) onChange(parsed);
  };
  return (
    <Textarea
      {...common(props)}
      error={broken ? t('form.notJson') : props.error}
      value={written}
      onChange={(event) => setWritten(event.currentTarget.value)}
      onBlur={leave}
      autosize
      minRows={3}
      maxRows={16}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
    />
  );
}

function parse(text: string): Json | undefined {
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
