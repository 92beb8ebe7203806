import type { InputProps } from './types';

/** What every Mantine input takes, from what every input here is given. */
export function common({ node, error, labelled, disabled, pointer }: InputProps) {
  return {
    ...(labelled
      ? { label: node.title, description: node.description || null, withAsterisk: node.required }
      : { 'aria-label': node.title }),
    error,
    disabled: disabled || node.readonly,
    'data-pointer': pointer,
    required: node.required,
  };
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value);
}
