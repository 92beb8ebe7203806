/** The API dies under open pages and comes back: they say so, and then show what has happened meanwhile, without a reload. */

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Page } from 'playwright-core';

import { openBrowser, visit, type Browser } from './support/browser';
import { python, send } from './support/project';

const shop = inject('shop');
const PATHS = ['/data/customers?q=gap', '/data/customers/cust_009', '/data/customers?q=gap'];
let browser: Browser;
let tabs: Page[] = [];
/** Of each stream that was asked for: the cursor that it was to go on from. */
const streams: (string | undefined)[] = [];
const readers: Page[] = [];
let loads = 0;

beforeAll(async () => {
  browser = await openBrowser();
  tabs = [browser.page, await browser.tab(), await browser.tab()];
  for (const page of tabs) {
    page.on('request', (request) => {
      if (request.url().endsWith('/api/events')) {
        streams.push(request.headers()['last-event-id']);
        readers.push(page);
      }
      if (request.isNavigationRequest()) loads += 1;
    });
  }
  await Promise.all(tabs.map((page, place) => visit(page, shop.ui + (PATHS[place] ?? ''))));
}, 60_000);

afterAll(() => browser.close());

const everywhere = (look: (tab: Page) => Promise<unknown>) => Promise.all(tabs.map(look));
const live = (tab: Page) => tab.locator('[role=status][data-status=live]').waitFor({ timeout: 20_000 });
const offline = (tab: Page) => tab.locator('[role=status][data-status=offline]').getByText('Offline').waitFor({ timeout: 20_000 });

async function shown(name: string): Promise<void> {
  await everywhere((tab) => tab.getByText(name).first().waitFor({ timeout: 20_000 }));
}

test('all tabs say that they are offline, and catch up by the cursor once the API is back', async () => {
  await everywhere(live);
  await send(shop.api, 'PATCH', '/customers/cust_009', { name: 'Gap before' });
  await shown('Gap before'); // every tab has heard of a cursor now
  const before = streams.length;
  const pages = loads;

  await python(shop.root, 'api.py', ['kill']);
  await everywhere(offline);
  await python(shop.root, 'unseen.py', ['cust_009', 'Gap between']); // written while nobody could tell of it
  await python(shop.root, 'api.py', ['start']);
  await everywhere(live);
  await shown('Gap between');
  expect(streams.slice(before).length).toBeGreaterThan(0);
  expect(streams.slice(before)).not.toContain(undefined);
  expect(loads).toBe(pages);

  await send(shop.api, 'PATCH', '/customers/cust_009', { name: 'Gap after' });
  await shown('Gap after');
  expect(browser.complaints).toEqual([]);
});

test('when the tab that reads the stream is closed, another goes on from where it was', async () => {
  const before = streams.length;
  const reader = readers.at(-1);
  await reader?.close();
  tabs = tabs.filter((tab) => tab !== reader);
  expect(tabs).toHaveLength(PATHS.length - 1);
  await send(shop.api, 'PATCH', '/customers/cust_009', { name: 'Gap handed over' });
  await shown('Gap handed over');
  expect(streams.slice(before)).toEqual([expect.any(String)]); // one stream, from a cursor
});
