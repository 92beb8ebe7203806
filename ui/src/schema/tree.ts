/** JSON Schema -> field tree: what lists, filters, details and forms share. The metadata's fields say the rest. */

import type { FieldHints, FieldMeta, Json, JsonSchema, Kind, Scalar } from '../api/types';

export interface Limits {
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
}

export interface Node {
  name: string;
  title: string;
  description: string;
  kind: Kind;
  required: boolean;
  nullable: boolean;
  readonly: boolean;
  isKey: boolean;
  target?: string;
  within?: string;
  embedded?: string;
  values: readonly Scalar[];
  decimals: number;
  fields: readonly Node[];
  item?: Node;
  limits: Limits;
  initial?: Json;
  ui: FieldHints;
}

type Definitions = Record<string, JsonSchema>;

/** The fields of an object: the metadata's, each with what the schema says of it; without metadata, the schema's. */
export function tree(schema: JsonSchema | undefined, fields?: readonly FieldMeta[]): Node[] {
  const root = schema ?? {};
  const object = resolve(root, root.$defs ?? {}).schema;
  return ordered(members(object, fields, root.$defs ?? {}, new Set()));
}

/** The tree of any value, an operation's output for instance. */
export function valueTree(schema: JsonSchema): Node {
  return node('', schema, undefined, true, schema.$defs ?? {}, new Set());
}

function members(
  object: JsonSchema,
  fields: readonly FieldMeta[] | undefined,
  definitions: Definitions,
  inside: ReadonlySet<string>,
): Node[] {
  const properties = object.properties ?? {};
  const required = new Set(object.required ?? []);
  if (fields !== undefined) {
    return fields.map((field) => node(field.name, properties[field.name], field, field.required, definitions, inside));
  }
  return Object.entries(properties).map(([name, part]) =>
    node(name, part, undefined, required.has(name), definitions, inside),
  );
}

function node(
  name: string,
  given: JsonSchema | undefined,
  field: FieldMeta | undefined,
  required: boolean,
  definitions: Definitions,
  inside: ReadonlySet<string>,
): Node {
  const { schema, nullable, reference } = resolve(given ?? {}, definitions);
  const circular = reference !== undefined && inside.has(reference);
  const within = reference === undefined ? inside : new Set([...inside, reference]);
  const kind = circular ? 'json' : (field?.kind ?? kindOf(schema));
  const found: Node = {
    name,
    title: titleOf(name, kind, field, schema),
    description: field?.description ?? schema.description ?? '',
    kind,
    required,
    nullable: field?.nullable ?? nullable,
    readonly: field?.readonly ?? schema.readOnly ?? false,
    isKey: field?.key ?? false,
    values: field?.values ?? schema.enum ?? (schema.const === undefined ? [] : [schema.const]),
    decimals: field?.decimals ?? 2,
    fields: kind === 'embedded' ? ordered(members(schema, field?.fields, definitions, within)) : [],
    limits: limitsOf(schema),
    ui: field?.ui ?? {},
  };
  const target = field?.target ?? schema['x-ref'];
  if (target !== undefined) found.target = target;
  if (field?.within !== undefined) found.within = field.within;
  if (field?.embedded !== undefined) found.embedded = field.embedded;
  if (given?.default !== undefined) found.initial = given.default;
  if (kind === 'list') found.item = node(name, schema.items, field?.item, true, definitions, within);
  return found;
}

interface Resolved {
  schema: JsonSchema;
  nullable: boolean;
  reference?: string;
}

/** A schema behind `$ref`, and `X | null` as X; a union of several stays as it is, to be written as JSON. */
function resolve(schema: JsonSchema, definitions: Definitions): Resolved {
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) {
    const rest = options.filter((option) => option.type !== 'null');
    const only = rest[0];
    const nullable = rest.length < options.length;
    if (only !== undefined && (rest.length === 1 || isAmount(rest))) {
      return { ...resolve({ ...without(schema), ...amountOr(rest, only) }, definitions), nullable };
    }
    return { schema, nullable };
  }
  const [all] = schema.allOf ?? [];
  if (all !== undefined && schema.allOf?.length === 1) return resolve({ ...without(schema), ...all }, definitions);
  if (schema.$ref === undefined) return { schema, nullable: false };
  const reference = schema.$ref.split('/').at(-1) ?? '';
  const { $ref: _, ...beside } = schema;
  const inner = resolve({ ...definitions[reference], ...beside }, definitions);
  return { ...inner, reference };
}

function without(schema: JsonSchema): JsonSchema {
  const { anyOf: _any, oneOf: _one, allOf: _all, ...rest } = schema;
  return rest;
}

/** A decimal is `number | string` where it is written. */
function isAmount(options: readonly JsonSchema[]): boolean {
  return options.length === 2 && options.some(isNumeric) && options.some((option) => option.type === 'string');
}

function amountOr(options: readonly JsonSchema[], only: JsonSchema): JsonSchema {
  return options.length === 1 ? only : (options.find(isNumeric) ?? only);
}

function isNumeric(schema: JsonSchema): boolean {
  return schema.type === 'number' || schema.type === 'integer';
}

function kindOf(schema: JsonSchema): Kind {
  if (schema.enum !== undefined || schema.const !== undefined) return 'enum';
  if (schema['x-ref'] !== undefined) return 'ref';
  if (schema.format === 'money') return 'money';
  if (schema.properties !== undefined) return 'embedded';
  switch (schema.type) {
    case 'integer':
    case 'number':
    case 'boolean':
      return schema.type;
    case 'array':
      return 'list';
    case 'string':
      return schema.format === 'date-time' ? 'datetime' : schema.format === 'date' ? 'date' : 'string';
    default:
      return 'json';
  }
}

/** The title that Pydantic gives where nobody has given one; ours are written as people write. */
function mechanical(name: string): string {
  return name.replaceAll('_', ' ').replaceAll(/[a-z]+/gi, (word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase());
}

function titleOf(name: string, kind: Kind, field: FieldMeta | undefined, schema: JsonSchema): string {
  const given = schema.title === mechanical(name) ? undefined : schema.title;
  const title = field?.title ?? given ?? words(name);
  return kind === 'ref' ? title.replace(/ id$/i, '') : title;
}

/** `unit_price` as people read it: `Unit price`. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function limitsOf(schema: JsonSchema): Limits {
  const limits: Limits = {};
  for (const name of ['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems'] as const) {
    const value = schema[name];
    if (value !== undefined) limits[name] = value;
  }
  if (schema.pattern !== undefined) limits.pattern = schema.pattern;
  return limits;
}

function ordered(nodes: Node[]): Node[] {
  return nodes.toSorted((one, two) => (one.ui.order ?? 0) - (two.ui.order ?? 0));
}
