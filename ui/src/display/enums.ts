/** The colour of an enum's value: the project's where it says one, else by what the word means everywhere. */

import type { Scalar } from '../api/types';
import type { Node } from '../schema/tree';
import { words } from '../schema/tree';

const MEANT: Readonly<Record<string, readonly string[]>> = {
  yellow: ['pending', 'open', 'new', 'queued', 'waiting', 'draft', 'todo', 'requested', 'on_hold'],
  blue: ['processing', 'running', 'active', 'started', 'in_progress', 'doing', 'sent'],
  green: ['done', 'completed', 'complete', 'resolved', 'approved', 'success', 'succeeded', 'ok', 'finished', 'valid'],
  red: ['failed', 'error', 'refused', 'rejected', 'declined', 'overdue', 'blocked', 'urgent', 'critical', 'invalid'],
};

const BY_WORD = new Map(Object.entries(MEANT).flatMap(([colour, all]) => all.map((word) => [word, colour] as const)));

export function colourOf(node: Node, value: Scalar): string {
  return node.ui.colours?.[String(value)] ?? BY_WORD.get(String(value)) ?? 'gray';
}

export function enumTitle(value: Scalar): string {
  return words(String(value));
}
