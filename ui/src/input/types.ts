import type { Json, JsonObject } from '../api/types';
import type { Node } from '../schema/tree';

export interface InputProps {
  node: Node;
  value: Json;
  onChange: (value: Json) => void;
  /** Where it stands in what is sent; errors name it so. */
  pointer: string;
  /** What is wrong with it, or null. */
  error: string | null;
  /** Without a label of its own it is called by its title, as in a table's row. */
  labelled: boolean;
  disabled: boolean;
  /** The object that the value stands in. */
  within: JsonObject;
}
