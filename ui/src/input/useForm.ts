import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { asProblem, type Problem } from '../api/client';
import type { JsonObject } from '../api/types';
import { below, nearest } from '../schema/pointers';
import type { Node } from '../schema/tree';
import { isEmpty, isObject, same } from '../schema/values';

export interface Form {
  value: JsonObject;
  setValue: (value: JsonObject) => void;
  errors: ReadonlyMap<string, string>;
  /** What is wrong with all of it, rather than with one field. */
  problem: Problem | null;
  dirty: boolean;
  /** Whether what is needed is there; where not, says so and goes there. */
  check: () => boolean;
  fail: (error: unknown) => void;
  reset: (value: JsonObject) => void;
}

/** The state of a form, and what its element is attached with. */
export function useForm(nodes: readonly Node[], initial: JsonObject): [Form, (element: HTMLFormElement | null) => void] {
  const { t } = useTranslation();
  const [element, attach] = useState<HTMLFormElement | null>(null);
  const [began, setBegan] = useState(initial);
  const [value, setValue] = useState(initial);
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map());
  const [problem, setProblem] = useState<Problem | null>(null);

  const show = useCallback((found: ReadonlyMap<string, string>, whole: Problem | null) => {
    setErrors(found);
    setProblem(whole);
    requestAnimationFrame(() => focusFirst(element, found));
  }, [element]);

  const check = useCallback(() => {
    const found = new Map<string, string>();
    missing(nodes, value, '', (pointer) => found.set(pointer, t('form.required')));
    show(found, null);
    return found.size === 0;
  }, [nodes, value, show, t]);

  const fail = useCallback(
    (error: unknown) => {
      const failed = asProblem(error);
      const drawn = new Set(pointersIn(element));
      const found = new Map<string, string>();
      for (const each of failed.errors) {
        const pointer = nearest(each.pointer, drawn);
        if (pointer !== null && !found.has(pointer)) found.set(pointer, each.message);
      }
      show(found, failed);
    },
    [show, element],
  );

  const reset = useCallback((next: JsonObject) => {
    setBegan(next);
    setValue(next);
    setErrors(new Map());
    setProblem(null);
  }, []);

  return [{ value, setValue, errors, problem, dirty: !same(began, value), check, fail, reset }, attach];
}

function missing(nodes: readonly Node[], value: JsonObject, pointer: string, say: (pointer: string) => void): void {
  for (const node of nodes) {
    const here = below(pointer, node.name);
    const given = value[node.name] ?? null;
    if (node.required && !node.nullable && isEmpty(given) && node.limits.minItems !== 0) {
      if (node.kind !== 'list' || (node.limits.minItems ?? 0) > 0) say(here);
    } else if (node.kind === 'embedded' && isObject(given)) {
      missing(node.fields, given, here, say);
    } else if (node.kind === 'list' && node.item?.kind === 'embedded' && Array.isArray(given)) {
      const { fields } = node.item;
      given.forEach((entry, place) => {
        if (isObject(entry)) missing(fields.filter((field) => field.name !== 'id'), entry, below(here, place), say);
      });
    }
  }
}

function pointersIn(form: HTMLFormElement | null): string[] {
  const fields = form?.querySelectorAll<HTMLElement>('[data-pointer]') ?? [];
  return [...fields].map((field) => field.dataset.pointer ?? '');
}

/** Go to the first field, as they stand on the page, that something is wrong with. */
function focusFirst(form: HTMLFormElement | null, errors: ReadonlyMap<string, string>): void {
  const fields = form?.querySelectorAll<HTMLElement>('[data-pointer]') ?? [];
  for (const field of fields) {
    if (!errors.has(field.dataset.pointer ?? '')) continue;
    const inner = field.matches('input, textarea, button') ? field : field.querySelector<HTMLElement>('input, textarea, button');
    (inner ?? field).focus();
    return;
  }
}
