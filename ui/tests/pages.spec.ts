/** Every page, in light and dark: nothing for axe to find, nothing in the console, and a picture for the docs. */

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';

import { violations } from './support/axe';
import { openBrowser, settled, visit, type Browser } from './support/browser';
import { placeOrder, send, stuckRun } from './support/project';

const PICTURES = resolve(import.meta.dirname, '../../docs/ui');
const shop = inject('shop');

interface Seen {
  orders: Record<string, string>;
  runs: Record<string, string>;
}

const seen: Seen = { orders: {}, runs: {} };

interface Document {
  id: string;
  state: string;
}

async function ended(id: string, states = ['completed', 'compensated', 'waiting', 'failed']): Promise<void> {
  await vi.waitUntil(async () => states.includes((await send<Document>(shop.api, 'GET', `/runs/${id}`)).state), {
    timeout: 25_000,
    interval: 200,
  });
}

async function flow(order: string, method = 'credit_card'): Promise<string> {
  const input = { order_id: order, payment_method: method, address_zip: '90210' };
  return (await send<Document>(shop.api, 'POST', '/flows/order_to_cash/runs', input)).id;
}

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  const orders = await Promise.all(['1', '2', '3'].map((number) => placeOrder(shop.api, `PIC-${number}`)));
  seen.orders.one = orders[0]?.id ?? '';
  seen.runs.stuck = await stuckRun(shop.api);
  seen.runs.done = await flow(orders[0]?.id ?? '');
  seen.runs.declined = await flow(orders[1]?.id ?? '', 'pm_card_chargeDeclined');
  await Promise.all(Object.values(seen.runs).map((id) => ended(id)));
}, 60_000);

const PAGES: [string, () => string][] = [
  ['home', () => '/'],
  ['list', () => '/data/orders'],
  ['detail', () => `/data/orders/${seen.orders.one ?? ''}`],
  ['form', () => '/data/orders/new'],
  ['operations', () => '/operations'],
  ['operation', () => '/operations/orders.checkout.validate_items'],
  ['flow', () => '/flows/order_to_cash'],
  ['flow-table', () => '/flows/order_to_cash?view=table'],
  ['flow-start', () => '/flows/order_to_cash/start'],
  ['runs', () => '/runs'],
  ['run', () => `/runs/${seen.runs.done ?? ''}`],
  ['run-undone', () => `/runs/${seen.runs.declined ?? ''}`],
  ['run-stuck', () => `/runs/${seen.runs.stuck ?? ''}`],
  ['not-found', () => '/data/nothing'],
];

describe.each(['light', 'dark'] as const)('in %s', (scheme) => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await openBrowser(scheme);
  });

  afterAll(() => browser.close());

  test.each(PAGES)('%s is drawn, accessible and quiet, also when reloaded', async (name, address) => {
    const { page, complaints } = browser;
    await visit(page, shop.ui + address());
    const title = await page.locator('h1').first().textContent();
    await page.screenshot({ path: resolve(PICTURES, `${name}-${scheme}.png`) });
    expect(await violations(page)).toEqual([]);
    if (scheme === 'light') {
      await page.reload();
      await settled(page);
      expect(await page.locator('h1').first().textContent()).toBe(title);
    }
    expect(complaints).toEqual([]);
  });
});
