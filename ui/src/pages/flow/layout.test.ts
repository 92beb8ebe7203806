import { expect, test } from 'vitest';

import type { Plan } from '../../api/types';
import { layout, ranks } from './layout';

const step = (operation: string, ...needs: string[]) => ({ operation, needs, wires: [], gate: null, pivot: false, compensate: null });

const plan = {
  steps: [
    step('o.check.items'), step('o.check.payment'),
    step('o.pack.reserve', 'o.check.items', 'o.check.payment'), step('p.pay.charge', 'o.check.payment'),
    step('o.pack.ship', 'o.pack.reserve', 'p.pay.charge'),
  ],
} as unknown as Plan; // prettier-ignore

test('a step stands right of all that it needs', () => {
  expect([...ranks(plan).values()]).toEqual([0, 0, 1, 1, 2]);
});

test('steps of a group that run side by side stand below each other, and no two lanes meet', () => {
  const { steps, lanes, parallel } = layout(plan);
  const at = (operation: string) => steps.find((each) => each.operation === operation);
  expect(at('o.check.items')?.x).toBe(at('o.check.payment')?.x);
  expect(at('o.check.items')?.y).not.toBe(at('o.check.payment')?.y);
  expect(parallel).toBe(2);
  for (const one of lanes) {
    for (const two of lanes) {
      const apart = one.x + one.width <= two.x || two.x + two.width <= one.x || one.y + one.height <= two.y || two.y + two.height <= one.y;
      expect(one === two || apart).toBe(true);
    }
  }
});
