import { useLocalStorage } from '@mantine/hooks';

import type { ModelMeta } from '../../api/types';

export interface View {
  name: string;
  search: Record<string, string | string[]>;
}

/** Which columns this browser shows of a model; null: those that the project puts first. */
export function useChosenColumns(model: ModelMeta) {
  return useLocalStorage<string[] | null>({
    key: `pulpo:columns:${model.name}`,
    defaultValue: null,
    getInitialValueInEffect: false,
  });
}

export function useViews(model: ModelMeta) {
  return useLocalStorage<View[]>({ key: `pulpo:views:${model.name}`, defaultValue: [], getInitialValueInEffect: false });
}
