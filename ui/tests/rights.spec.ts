/** A caller who may do less is offered less: the same pages before metadata that says so. */

import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Page } from 'playwright-core';

import { openBrowser, visit, type Browser } from './support/browser';
import { placeOrder, send, stuckRun } from './support/project';

const shop = inject('shop');

interface Told {
  runs: { may: string[] };
  models: { name: string; actions: string[] }[];
  operations: { name: string; may: string[] }[];
  flows: { may: string[] }[];
}

let told: Told;
let order = '';
let run = '';

beforeAll(async () => {
  told = await send<Told>(shop.api, 'GET', '/meta');
  order = (await placeOrder(shop.api, 'RIGHTS-1')).id;
  run = await stuckRun(shop.api);
});

/** A browser to which the metadata says less; everything else is the real API's. */
async function as(change: (told: Told) => void): Promise<Browser> {
  const less = structuredClone(told);
  change(less);
  const browser = await openBrowser();
  await browser.context.route('**/api/meta', (route) => route.fulfill({ json: less }));
  return browser;
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).count();
const link = (page: Page, name: string | RegExp) => page.getByRole('link', { name }).count();

describe('who may only look', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await as((less) => {
      less.runs.may = ['list', 'get'];
      for (const model of less.models) model.actions = model.actions.filter((action) => action === 'list' || action === 'get');
      for (const each of [...less.operations, ...less.flows]) each.may = [];
    });
  });

  afterAll(() => browser.close());

  test('sees a list without creating, selecting or deleting', async () => {
    const { page } = browser;
    await visit(page, `${shop.ui}/data/orders`);
    expect(await page.locator('tbody tr').count()).toBeGreaterThan(10);
    expect(await link(page, /New order/)).toBe(0);
    expect(await page.getByRole('checkbox').count()).toBe(0);
    expect(await link(page, 'Operations')).toBe(0);
    await visit(page, `${shop.ui}/data/orders?q=nothing+like+it`);
    expect(await button(page, /Create|New/)).toBe(0);
  });

  test('sees a document without editing, deleting or running anything on it', async () => {
    const { page } = browser;
    await visit(page, `${shop.ui}/data/orders/${order}`);
    await page.getByRole('heading', { name: 'RIGHTS-1' }).waitFor();
    expect(await link(page, 'Edit')).toBe(0);
    expect(await button(page, /Run operation|More/)).toBe(0);
  });

  test('sees flows and runs, and can neither start, cancel, retry nor hurry one', async () => {
    const { page } = browser;
    await visit(page, `${shop.ui}/flows/order_to_cash`);
    expect(await link(page, 'Run flow')).toBe(0);
    await visit(page, `${shop.ui}/runs/${run}`);
    await page.getByText('Waiting: Ship items').waitFor();
    expect(await button(page, /Cancel|Retry|Try now/)).toBe(0);
  });

  test('finds no form at the addresses of forms, and an operation that does not run', async () => {
    const { page } = browser;
    for (const path of ['/data/orders/new', `/data/orders/${order}/edit`, '/flows/order_to_cash/start', `/flows/order_to_cash/start?retry=${run}`]) {
      await visit(page, shop.ui + path);
      await page.getByRole('heading', { name: 'Nothing is here' }).waitFor();
    }
    await visit(page, `${shop.ui}/operations/orders.checkout.validate_items`);
    expect(await page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true);
    await page.getByText('You may look at it, but not run it.').waitFor();
  });

  test('is led nowhere else by the palette', async () => {
    const { page } = browser;
    await visit(page, `${shop.ui}/`);
    await page.keyboard.press('Control+k');
    const palette = page.getByRole('dialog');
    await page.getByPlaceholder('Go to, create, run…').fill('order');
    await palette.getByText('Orders', { exact: true }).first().waitFor();
    expect(await palette.getByText(/^New order$|^Validate items$/).count()).toBe(0);
    expect(browser.complaints).toEqual([]);
  });
});

test('who may neither list orders nor see runs is asked for neither: no request is refused', async () => {
  const browser = await as((less) => {
    less.runs.may = [];
    for (const model of less.models) if (model.name === 'Order') model.actions = [];
  });
  const { page } = browser;
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  try {
    await visit(page, `${shop.ui}/`);
    expect(await page.getByText('Orders to pick').count()).toBe(0);
    expect(await page.getByText('Needs attention').count()).toBe(0);
    expect(await page.locator('a[href^="/data/orders"], a[href^="/runs"]').count()).toBe(0);
    await page.getByText('Low stock').first().waitFor();
    await visit(page, `${shop.ui}/flows/order_to_cash`);
    await visit(page, `${shop.ui}/operations/orders.checkout.validate_items`);
    for (const path of ['/runs', `/runs/${run}`, '/data/orders', `/data/orders/${order}`]) {
      await visit(page, shop.ui + path);
      await page.getByRole('heading', { name: 'Nothing is here' }).waitFor();
    }
    expect(asked.filter((path) => /^\/api\/(runs|orders)\b/.test(path))).toEqual([]);
    expect(browser.complaints).toEqual([]);
  } finally {
    await browser.close();
  }
});

test('who may cancel but not retry, and delete but not change, is offered just that', async () => {
  const browser = await as((less) => {
    less.runs.may = ['list', 'get', 'cancel'];
    for (const model of less.models) model.actions = ['list', 'get', 'delete'];
    for (const each of less.operations) each.may = [];
  });
  const { page } = browser;
  try {
    await visit(page, `${shop.ui}/runs/${run}`);
    expect([await button(page, 'Cancel'), await button(page, 'Try now')]).toEqual([1, 0]);
    await visit(page, `${shop.ui}/data/orders?q=RIGHTS-1`);
    await page.getByLabel('Select all rows').check();
    const bulk = page.getByRole('region', { name: '1 selected' });
    expect(await bulk.getByRole('button').allTextContents()).toEqual(['Delete', 'Clear']);
    await visit(page, `${shop.ui}/data/orders/${order}`);
    expect([await link(page, 'Edit'), await button(page, 'More')]).toEqual([0, 1]);
  } finally {
    await browser.close();
  }
});
