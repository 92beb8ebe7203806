/** Where each step of a flow stands: further right the later it can start, in its group's lane, beside its equals. */

import type { Plan } from '../../api/types';

export const NODE = { width: 188, height: 32 } as const;
const COLUMN = 230;
const ROW = 42;
const PAD = 10;
const HEAD = 20;
const GAP = 22;

export interface Placed {
  operation: string;
  x: number;
  y: number;
}

export interface Lane {
  group: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  steps: Placed[];
  lanes: Lane[];
  width: number;
  height: number;
  /** The most steps that can run at the same time, by how far they are from the start. */
  parallel: number;
}

export function groupOf(operation: string): string {
  return operation.slice(0, Math.max(0, operation.lastIndexOf('.')));
}

/** How many steps have to come before each one, at least. */
export function ranks(plan: Plan): Map<string, number> {
  const found = new Map<string, number>();
  for (const step of plan.steps) {
    // the steps of a plan are in an order in which they could run one by one
    const before = step.needs.map((need) => found.get(need) ?? 0);
    found.set(step.operation, before.length === 0 ? 0 : Math.max(...before) + 1);
  }
  return found;
}

export function layout(plan: Plan): Layout {
  const rank = ranks(plan);
  const groups = new Map<string, string[]>();
  for (const { operation } of plan.steps) {
    const group = groupOf(operation);
    groups.set(group, [...(groups.get(group) ?? []), operation]);
  }
  const rankOf = (operation: string) => rank.get(operation) ?? 0;
  const ordered = [...groups].toSorted(([, one], [, two]) => Math.min(...one.map(rankOf)) - Math.min(...two.map(rankOf)));

  const steps: Placed[] = [];
  const lanes: Lane[] = [];
  for (const [group, members] of ordered) {
    const columns = members.map(rankOf);
    const from = Math.min(...columns);
    const to = Math.max(...columns);
    const tall = Math.max(...columns.map((column) => columns.filter((each) => each === column).length));
    const lane: Lane = {
      group,
      x: from * COLUMN,
      y: 0,
      width: (to - from) * COLUMN + NODE.width + 2 * PAD,
      height: HEAD + tall * ROW + PAD - (ROW - NODE.height),
    };
    lane.y = firstFree(lane, lanes);
    lanes.push(lane);
    const used = new Map<number, number>();
    for (const operation of members) {
      const column = rankOf(operation);
      const row = used.get(column) ?? 0;
      used.set(column, row + 1);
      steps.push({ operation, x: lane.x + (column - from) * COLUMN + PAD, y: lane.y + HEAD + row * ROW });
    }
  }
  const counts = new Map<number, number>();
  for (const column of rank.values()) counts.set(column, (counts.get(column) ?? 0) + 1);
  return {
    steps,
    lanes,
    width: Math.max(0, ...lanes.map((lane) => lane.x + lane.width)),
    height: Math.max(0, ...lanes.map((lane) => lane.y + lane.height)),
    parallel: Math.max(0, ...counts.values()),
  };
}

/** The highest place where a lane meets none of those that stand already. */
function firstFree(lane: Lane, others: readonly Lane[]): number {
  const meets = others.filter((other) => lane.x < other.x + other.width + PAD && other.x < lane.x + lane.width + PAD);
  let y = 0;
  for (const other of meets.toSorted((one, two) => one.y - two.y)) {
    if (y + lane.height + GAP <= other.y) break;
    y = Math.max(y, other.y + other.height + GAP);
  }
  return y;
}
