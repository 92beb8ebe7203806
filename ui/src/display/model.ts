import { useMemo } from 'react';

import type { ModelMeta } from '../api/types';
import { tree, type Node } from '../schema/tree';

const SYSTEM = new Set(['id', 'version', 'updated_at']);
const known = new WeakMap<ModelMeta, Node[]>();

/** A model's fields as a tree, made once. */
export function modelTree(model: ModelMeta): Node[] {
  let found = known.get(model);
  if (found === undefined) {
    found = tree(model.input, model.fields);
    known.set(model, found);
  }
  return found;
}

export interface Column {
  path: string;
  title: string;
  node: Node;
}

/** Every field that a list can show, those in embedded objects under dotted paths. */
export function columnsOf(model: ModelMeta): Column[] {
  const walk = (nodes: readonly Node[], path: string, title: string): Column[] =>
    nodes
      .filter((node) => node.ui.hidden !== true)
      .flatMap((node) => {
        const here = { path: path + node.name, title: title === '' ? node.title : `${title}: ${node.title}`, node };
        return node.kind === 'embedded' ? [here, ...walk(node.fields, `${here.path}.`, here.title)] : [here];
      });
  return walk(modelTree(model), '', '');
}

const MOST = 7;

/** The columns that a list shows at first: the project's choice, else its label, then what says most in little room. */
export function firstColumns(model: ModelMeta): string[] {
  if (model.ui.columns !== undefined) return model.ui.columns;
  const plain = modelTree(model).filter(
    (node) =>
      !SYSTEM.has(node.name) &&
      node.name !== 'created_at' &&
      node.ui.hidden !== true &&
      node.name !== model.label &&
      !['json', 'embedded'].includes(node.kind) &&
      !['textarea', 'code'].includes(node.ui.widget ?? ''),
  );
  return [model.label, ...plain.slice(0, MOST - 2).map((node) => node.name), 'created_at'];
}

export function useColumns(model: ModelMeta): Column[] {
  return useMemo(() => columnsOf(model), [model]);
}

/** Fields that a person reads in a document's facts, in order. */
export function factsOf(model: ModelMeta): Node[] {
  const nodes = modelTree(model).filter((node) => node.ui.hidden !== true && !isTable(node));
  const system = nodes.filter((node) => SYSTEM.has(node.name) || node.name === 'created_at');
  return [...nodes.filter((node) => !system.includes(node)), ...system.filter((node) => node.name !== 'id')];
}

/** Whether a field is drawn as a table of its own: a list of objects. */
export function isTable(node: Node): boolean {
  return node.kind === 'list' && node.item?.kind === 'embedded';
}

/** Fields that a client may write. */
export function writable(model: ModelMeta, creating: boolean): Node[] {
  return modelTree(model).filter((node) => !node.readonly && node.name !== 'id' && (creating || node.ui.hidden !== true));
}

export function statusNode(model: ModelMeta): Node | undefined {
  const nodes = modelTree(model);
  const named = nodes.find((node) => node.name === model.ui.status);
  return named ?? nodes.find((node) => node.kind === 'enum' && (node.name === 'status' || node.name === 'state'));
}

/** The list of a model whose entries are of the class that is referred to. */
export function entriesOf(model: ModelMeta, target: string | undefined): Node | undefined {
  return modelTree(model).find((node) => node.kind === 'list' && node.item?.embedded === target);
}
