import { createContext, use } from 'react';

import type { FlowMeta, Meta, ModelMeta, OperationMeta } from './types';

/** The metadata with its parts by name. */
export class Catalogue {
  readonly meta: Meta;
  private readonly byName: ReadonlyMap<string, ModelMeta>;
  private readonly bySlug: ReadonlyMap<string, ModelMeta>;
  private readonly operationsByName: ReadonlyMap<string, OperationMeta>;

  constructor(meta: Meta) {
    this.meta = meta;
    this.byName = new Map(meta.models.map((model) => [model.name, model]));
    this.bySlug = new Map(meta.models.map((model) => [slug(model), model]));
    this.operationsByName = new Map(meta.operations.map((operation) => [operation.name, operation]));
  }

  model(name: string | undefined): ModelMeta | undefined {
    return name === undefined ? undefined : this.byName.get(name);
  }

  modelAt(address: string): ModelMeta | undefined {
    return this.bySlug.get(address);
  }

  operation(name: string): OperationMeta | undefined {
    return this.operationsByName.get(name);
  }

  mayRuns(action: RunRight): boolean {
    return this.meta.runs.may.includes(action);
  }

  flow(name: string): FlowMeta | undefined {
    return this.meta.flows.find((flow) => flow.name === name);
  }

  /** What a run is a run of, as people read it. */
  titleOf(kind: 'flow' | 'operation', name: string): string {
    return (kind === 'flow' ? this.flow(name)?.title : this.operation(name)?.title) ?? name;
  }

  /** Operations that this caller may call and that take a document of the model, the undoing ones aside. */
  operationsOn(model: ModelMeta): OperationMeta[] {
    return this.meta.operations.filter(
      (operation) =>
        operation.may.includes('call') &&
        operation.ui.hidden !== true &&
        operation.undoes.length === 0 &&
        operation.fields.some((field) => field.kind === 'ref' && field.target === model.name && field.required),
    );
  }

  flowsOn(model: ModelMeta): FlowMeta[] {
    return this.meta.flows.filter(
      (flow) =>
        flow.may.includes('start') &&
        flow.plan.steps.length > 0 &&
        flow.fields.some((field) => field.kind === 'ref' && field.target === model.name && field.required),
    );
  }
}

export type RunRight = 'list' | 'get' | 'cancel' | 'retry' | 'wake';

/** Operations with that one reference as all they need: they can be called on many documents at once. */
export function soleReference(operation: OperationMeta, model: ModelMeta): string | null {
  const [only, ...others] = operation.fields.filter((field) => field.required);
  return only?.kind === 'ref' && only.target === model.name && others.length === 0 ? only.name : null;
}

/** A model's part of an address: `orders`. */
export function slug(model: ModelMeta): string {
  return model.path.slice(1);
}

export function may(model: ModelMeta, action: ModelMeta['actions'][number]): boolean {
  return model.actions.includes(action);
}

export const CatalogueContext = createContext<Catalogue | null>(null);

export function useCatalogue(): Catalogue {
  const catalogue = use(CatalogueContext);
  if (catalogue === null) throw new Error('the metadata is not there yet');
  return catalogue;
}
