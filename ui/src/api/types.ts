/** The documents that the API answers with, as docs/api.md tells them. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = Record<string, Json>;
export type Scalar = string | number | boolean;

export type Kind =
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'money'
  | 'datetime'
  | 'date'
  | 'enum'
  | 'ref'
  | 'list'
  | 'embedded'
  | 'json';

export interface FieldHints {
  widget?: string;
  colours?: Record<string, string>;
  unit?: string;
  currency?: string;
  order?: number;
  hidden?: boolean;
  low?: number;
}

export interface FieldMeta {
  name: string;
  title: string;
  kind: Kind;
  required: boolean;
  nullable?: boolean;
  unique?: boolean;
  key?: boolean;
  readonly?: boolean;
  target?: string;
  within?: string;
  values?: Scalar[];
  decimals?: number;
  embedded?: string;
  fields?: FieldMeta[];
  item?: FieldMeta;
  description?: string;
  ui?: FieldHints;
}

export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  enum?: Scalar[];
  const?: Scalar;
  default?: Json;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  required?: string[];
  readOnly?: boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  'x-ref'?: string;
}

export type Action = 'list' | 'get' | 'create' | 'replace' | 'patch' | 'delete';

export interface ModelHints {
  icon?: string;
  group?: string;
  order?: number;
  status?: string;
  columns?: string[];
  filters?: string[];
  sort?: string;
  hidden?: boolean;
}

export interface FilterMeta {
  path: string;
  operators: string[];
}

export interface ModelMeta {
  name: string;
  title: string;
  plural: string;
  description: string;
  path: string;
  key: string | null;
  label: string;
  actions: Action[];
  fields: FieldMeta[];
  filters: FilterMeta[];
  sorts: string[];
  searched: string[];
  expands: string[];
  referred_by: { model: string; field: string }[];
  input: JsonSchema;
  ui: ModelHints;
}

export interface OperationHints {
  icon?: string;
  order?: number;
  confirm?: string;
  danger?: boolean;
  hidden?: boolean;
}

export interface OperationMeta {
  name: string;
  title: string;
  description: string;
  domain: string;
  group: string;
  path: string;
  may: string[];
  reads: string[];
  writes: string[];
  adds: string[];
  compensate: string | null;
  undoes: string[];
  gate: string | null;
  pivot: boolean;
  atomic: boolean;
  retries: number;
  timeout: number | null;
  wait: number | null;
  fields: FieldMeta[];
  input: JsonSchema;
  output: JsonSchema;
  ui: OperationHints;
}

export interface PlanStep {
  operation: string;
  needs: string[];
  wires: { field: string; step: string | null; source: string }[];
  gate: string | null;
  pivot: boolean;
  compensate: string | null;
}

export interface PlanEdge {
  before: string;
  after: string;
  rule: string;
  why: string;
}

export interface Plan {
  flow: string;
  steps: PlanStep[];
  edges: PlanEdge[];
  critical_path: string[];
  preconditions: string[];
  one_per: string | null;
  description: string;
}

export interface FlowMeta {
  name: string;
  title: string;
  may: string[];
  plan: Plan;
  fields: FieldMeta[];
  input: JsonSchema;
}

export type CardKind = 'count' | 'sum' | 'average' | 'chart' | 'breakdown' | 'list';

export interface CardMeta {
  kind: CardKind;
  title: string;
  model: string;
  filter?: string;
  field?: string;
  group?: string;
  bucket?: string;
  measure: 'sum' | 'average';
  shape: 'area' | 'bar';
  columns?: string[];
  note?: string;
  tone: 'neutral' | 'warning' | 'critical';
  span: number;
  limit: number;
}

export interface PageMeta {
  name: string;
  title: string;
  module: string;
  icon: string;
  group: string;
}

export interface Meta {
  version: number;
  name: string;
  mode: string;
  pulpo: string;
  caller: { principal: string; role: string };
  ui: { title: string; currency: string; groups: string[]; cards: CardMeta[]; pages: PageMeta[] };
  runs: { may: string[] };
  models: ModelMeta[];
  operations: OperationMeta[];
  flows: FlowMeta[];
}

export type Document = JsonObject & { id: string; version?: number };

export type RunState =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'stopped'
  | 'completed'
  | 'failed'
  | 'cancelling'
  | 'cancelled'
  | 'compensating'
  | 'compensated'
  | 'skipped';

export interface RunError {
  code: string;
  detail: string;
  hint: string | null;
  step?: string | null;
}

export interface LogEntry {
  at: string;
  level: string;
  message: string;
  attempt: number;
}

export interface StepRun {
  id: string;
  run: string;
  operation: string;
  kind: 'step' | 'compensation';
  /** Of an undoing: the step that it undoes. */
  of: string | null;
  state: RunState;
  generation: number;
  attempts: number;
  input: Json;
  output: Json;
  error: RunError | null;
  already: boolean;
  touched: [string, string, number][];
  /** What the operation logged; absent where a journal is older. */
  log: LogEntry[];
  wake_at: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Run {
  id: string;
  kind: 'flow' | 'operation';
  name: string;
  state: RunState;
  input: Json;
  output: Json;
  error: RunError | null;
  incident?: string | null;
  caller: { principal: string; role: string };
  retry_of: string | null;
  retried_by: string | null;
  prefect?: string | null;
  cancel_requested: boolean | string | null;
  wake_at: string | null;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface RunWithSteps extends Run {
  steps: StepRun[];
}
