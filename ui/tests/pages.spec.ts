/**
 * Every page and what opens on it, in light, dark and on a phone: nothing for axe to find, nothing in the console, nothing
 * wider than the phone, the same page when it is reloaded; and, where they are asked for, pictures for the docs.
 */

import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import type { Page } from 'playwright-core';

import { violations } from './support/axe';
import { DESKTOP, openBrowser, PHONE, settled, visit, type Browser } from './support/browser';
import { picture } from './support/pictures';
import { placeOrder, send, stuckRun } from './support/project';

const shop = inject('shop');
const board = inject('board');
const seen = { order: '', done: '', declined: '', stuck: '' };
let browser: Browser;

interface Known {
  id: string;
  state: string;
}

async function ended(id: string): Promise<void> {
  const states = ['completed', 'compensated', 'waiting', 'failed'];
  await vi.waitUntil(async () => states.includes((await send<Known>(shop.api, 'GET', `/runs/${id}`)).state), {
    timeout: 40_000,
    interval: 200,
  });
}

async function flow(order: string, method = 'credit_card'): Promise<string> {
  const input = { order_id: order, payment_method: method, address_zip: '90210' };
  return (await send<Known>(shop.api, 'POST', '/flows/order_to_cash/runs', input)).id;
}

beforeAll(async () => {
  browser = await openBrowser();
  const [first, second] = await Promise.all(['PIC-1', 'PIC-2'].map((number) => placeOrder(shop.api, number)));
  seen.order = first?.id ?? '';
  seen.stuck = await stuckRun(shop.api);
  seen.done = await flow(seen.order);
  seen.declined = await flow(second?.id ?? '', 'pm_card_chargeDeclined');
  await Promise.all([seen.stuck, seen.done, seen.declined].map(ended));
}, 60_000);

afterAll(() => browser.close());

/** Light, dark and on a phone: what axe finds, and how wide the page is. */
async function looked(page: Page, name: string, rules: 'all' | 'colours' = 'all'): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    // The two are one page in other colours: what is no matter of colours is found once.
    await page.emulateMedia({ colorScheme: scheme });
    await page.locator(`html[data-mantine-color-scheme=${scheme}]`).waitFor({ state: 'attached' });
    await picture(page, `${name}-${scheme}`);
    expect(await violations(page, scheme === 'light' ? rules : 'colours'), `${name} in ${scheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(PHONE);
  await settled(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth), `${name} on a phone`).toBeLessThanOrEqual(PHONE.width);
  await picture(page, `${name}-phone`);
  await page.setViewportSize(DESKTOP);
}

const PAGES: [string, () => string][] = [
  ['home', () => `${shop.ui}/`],
  ['list', () => `${shop.ui}/data/orders?rows=25`],
  ['list-empty', () => `${shop.ui}/data/orders?q=nothing+like+it`],
  ['detail', () => `${shop.ui}/data/orders/${seen.order}`],
  ['form', () => `${shop.ui}/data/orders/new`],
  ['edit', () => `${shop.ui}/data/customers/cust_002/edit`],
  ['operations', () => `${shop.ui}/operations`],
  ['operation', () => `${shop.ui}/operations/orders.checkout.validate_items`],
  ['flow', () => `${shop.ui}/flows/order_to_cash`],
  ['flow-table', () => `${shop.ui}/flows/order_to_cash?view=table`],
  ['flow-start', () => `${shop.ui}/flows/order_to_cash/start`],
  ['runs', () => `${shop.ui}/runs`],
  ['run', () => `${shop.ui}/runs/${seen.done}`],
  ['run-undone', () => `${shop.ui}/runs/${seen.declined}`],
  ['run-stuck', () => `${shop.ui}/runs/${seen.stuck}`],
  ['not-found', () => `${shop.ui}/data/nothing`],
  ['board-home', () => `${board.ui}/`],
  ['board', () => `${board.ui}/pages/board`],
];

test.each(PAGES)('%s is drawn, accessible, quiet and narrow enough, and the same when reloaded', async (name, address) => {
  const { page, complaints } = browser;
  await visit(page, address());
  const title = await page.locator('h1').first().textContent();
  await looked(page, name);
  await page.reload();
  await settled(page);
  expect(await page.locator('h1').first().textContent()).toBe(title);
  expect(complaints).toEqual([]);
});

/** What is no page of its own: it opens on one. */
const OPENED: [string, (page: Page) => Promise<void>][] = [
  ['palette', async (page) => {
    await visit(page, `${shop.ui}/`);
    await page.keyboard.press('Control+k');
    await page.getByPlaceholder('Go to, create, run…').fill('ord');
    await page.getByRole('dialog').getByText('ORD-').first().waitFor();
  }],
  ['form-errors', async (page) => {
    await visit(page, `${shop.ui}/data/orders/new`);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByText('5 fields need attention').waitFor();
  }],
  ['conflict', async (page) => {
    await visit(page, `${shop.ui}/data/customers/cust_002/edit`);
    await page.getByLabel('Name').first().fill('Written here');
    await send(shop.api, 'PATCH', '/customers/cust_002', { phone: '+1 555 0102', name: 'Written elsewhere' });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert', { name: 'Somebody else has changed it' }).getByText('+1 555 0102').waitFor();
  }],
  ['operation-result', async (page) => {
    await visit(page, `${shop.ui}/operations/orders.checkout.validate_items?order_id=${seen.order}`);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByText('Open the run').waitFor();
  }],
  ['detail-menu', async (page) => {
    await visit(page, `${shop.ui}/data/orders/${seen.order}`);
    await page.getByRole('button', { name: 'Run operation…' }).click();
    await page.getByRole('menuitem', { name: 'Pick items' }).waitFor();
  }],
  ['list-selected', async (page) => {
    await visit(page, `${shop.ui}/data/products?rows=25`);
    await page.getByLabel('Select all rows').check();
    await page.getByText(/\d+ selected/).waitFor();
  }],
  ['run-cancel', async (page) => {
    await visit(page, `${shop.ui}/runs/${seen.stuck}`);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancel this run?').waitFor();
  }],
  ['run-graph', async (page) => {
    await visit(page, `${shop.ui}/runs/${seen.done}`);
    await page.getByRole('tab', { name: 'Flow' }).click();
    await page.locator('.react-flow [data-state=completed]').nth(10).waitFor();
  }],
  ['run-step', async (page) => {
    await visit(page, `${shop.ui}/runs/${seen.done}`);
    await page.getByRole('button', { name: /Reserve items/ }).click();
    await page.getByText('Why this order').waitFor();
  }],
]; // prettier-ignore

test.each(OPENED)('%s is accessible, quiet and narrow enough', async (name, open) => {
  const { page, complaints } = browser;
  await open(page);
  await settled(page);
  // A menu is the library's, in a place of its own beside the landmarks: only what it looks like is ours.
  await looked(page, name, name === 'detail-menu' ? 'colours' : 'all');
  expect(complaints).toEqual([]);
});
