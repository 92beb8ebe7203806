/** How a value of each kind looks, wherever it stands: one registry for lists, details, runs and results. */

import { Link } from '@tanstack/react-router';
import type { ComponentType } from 'react';
import { useTranslation } from 'react-i18next';

import { slug, useCatalogue } from '../api/meta';
import type { Document, Json, JsonObject, Kind } from '../api/types';
import { Chip } from '../components/Chip';
import { bytes, day, duration, money, number, text as textOf } from '../components/format';
import { Ago } from '../components/Time';
import type { Node } from '../schema/tree';
import { isObject } from '../schema/values';
import { colourOf, enumTitle } from './enums';
import { entriesOf } from './model';
import { titleOf, useTitle } from './titles';
import classes from './Value.module.css';

export interface DisplayProps {
  node: Node;
  value: Json;
  /** The object that the value stands in: what was expanded is beside a reference, a currency beside an amount. */
  within?: JsonObject;
}

type Display = ComponentType<DisplayProps>;

function Text({ node, value }: DisplayProps) {
  const text = textOf(value);
  switch (node.ui.widget) {
    case 'email':
      return <a href={`mailto:${text}`}>{text}</a>;
    case 'phone':
      return <a href={`tel:${text}`}>{text}</a>;
    case 'url':
      return /^https?:/.test(text) ? <a href={text}>{text}</a> : <span>{text}</span>;
    case 'code':
      return <code>{text}</code>;
    default:
      return <span className={classes.text}>{text}</span>;
  }
}

function Numeric({ node, value }: DisplayProps) {
  if (typeof value !== 'number') return <span>{textOf(value)}</span>;
  const low = node.ui.low !== undefined && value <= node.ui.low;
  return (
    <span className="tabular nowrap" data-low={low || undefined}>
      {low ? <Chip colour="orange">{numeric(node, value)}</Chip> : numeric(node, value)}
    </span>
  );
}

function numeric(node: Node, value: number): string {
  switch (node.ui.widget) {
    case 'percent':
      return `${number(value)} %`;
    case 'duration':
      return duration(value * 1000);
    case 'bytes':
      return bytes(value);
    case 'rating':
      return '★'.repeat(Math.max(0, Math.min(5, Math.round(value))));
    default:
      return node.ui.unit === undefined ? number(value) : `${number(value)} ${node.ui.unit}`;
  }
}

function Amount({ node, value, within }: DisplayProps) {
  const { meta } = useCatalogue();
  const beside = within?.[node.ui.currency ?? 'currency'];
  const currency = typeof beside === 'string' && /^[A-Z]{3}$/.test(beside) ? beside : meta.ui.currency;
  return <span className="tabular nowrap">{money(Number(value), currency, node.decimals)}</span>;
}

function YesNo({ value }: DisplayProps) {
  const { t } = useTranslation();
  return <span>{value === true ? t('common.yes') : t('common.no')}</span>;
}

function Moment({ value }: DisplayProps) {
  return <Ago value={textOf(value)} />;
}

function Day({ value }: DisplayProps) {
  return <span className="nowrap">{day(textOf(value))}</span>;
}

function Word({ node, value }: DisplayProps) {
  if (typeof value === 'object') return null;
  return <Chip colour={colourOf(node, value)}>{enumTitle(value)}</Chip>;
}

/** A reference to an entry inside another document, whose entries are there where that document was expanded. */
function Entry({ node, value, within }: DisplayProps & { node: Node & { within: string } }) {
  const holder = within?.[node.within.replace(/_id$/, '')];
  const model = useCatalogue().meta.models.find((each) => entriesOf(each, node.target) !== undefined);
  const list = model && entriesOf(model, node.target);
  const entries = list !== undefined && isObject(holder) ? holder[list.name] : [];
  const entry = Array.isArray(entries) ? entries.filter(isObject).find((each) => each.id === value) : undefined;
  return <span className={classes.text}>{(entry && summary(list?.item?.fields ?? [], entry)) ?? textOf(value)}</span>;
}

function Referred(props: DisplayProps) {
  const { node } = props;
  return node.within === undefined ? <Reference {...props} /> : <Entry {...props} node={{ ...node, within: node.within }} />;
}

function Reference({ node, value, within }: DisplayProps) {
  const model = useCatalogue().model(node.target);
  const id = textOf(value);
  const expanded = within?.[node.name.replace(/_id$/, '')];
  const known = model && isObject(expanded) ? titleOf(model, expanded as Document) : undefined;
  const title = useTitle(model, id, known);
  if (!model?.actions.includes('get')) return <span>{title}</span>;
  return (
    <Link to="/data/$model/$id" params={{ model: slug(model), id }} className="nowrap">
      {title}
    </Link>
  );
}

function Listed({ node, value, within }: DisplayProps) {
  const { t } = useTranslation();
  if (!Array.isArray(value)) return null;
  const { item } = node;
  if (item === undefined || item.kind === 'embedded' || item.kind === 'json' || item.kind === 'list') {
    return <span className="dimmed">{t('common.entries', { count: value.length })}</span>;
  }
  return (
    <span className={classes.listed}>
      {value.map((entry, place) => (
        <Value key={place} node={item} value={entry} {...(within ? { within } : {})} />
      ))}
    </span>
  );
}

function Embedded({ node, value }: DisplayProps) {
  return <span className={classes.text}>{isObject(value) ? summary(node.fields, value) : ''}</span>;
}

function Raw({ value }: DisplayProps) {
  return <code className={classes.text}>{typeof value === 'string' ? value : JSON.stringify(value)}</code>;
}

const DISPLAYS: Readonly<Record<Kind, Display>> = {
  string: Text,
  integer: Numeric,
  number: Numeric,
  boolean: YesNo,
  money: Amount,
  datetime: Moment,
  date: Day,
  enum: Word,
  ref: Referred,
  list: Listed,
  embedded: Embedded,
  json: Raw,
};

export function Value(props: DisplayProps) {
  const { t } = useTranslation();
  const { value, node } = props;
  if (value === null || value === '' || (Array.isArray(value) && value.length === 0)) {
    return <span className="dimmed">{t('common.none')}</span>;
  }
  const Display = DISPLAYS[node.kind];
  return <Display {...props} />;
}

const RIGHT: readonly Kind[] = ['integer', 'number', 'money'];

export function alignment(node: Node): 'left' | 'right' {
  return RIGHT.includes(node.kind) ? 'right' : 'left';
}

/** An embedded entry in one line: its first texts. */
export function summary(fields: readonly Node[], value: JsonObject): string {
  return fields
    .filter((field) => field.name !== 'id' && (field.kind === 'string' || field.kind === 'enum'))
    .map((field) => value[field.name])
    .filter((text): text is string => typeof text === 'string' && text !== '')
    .slice(0, 4)
    .join(', ');
}
