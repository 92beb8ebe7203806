import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { vi } from 'vitest';

const CHROMIUM = process.env.PULPO_CHROMIUM ?? '/usr/bin/chromium';
const ARGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]; // prettier-ignore

export const DESKTOP = { width: 1360, height: 860 };
export const PHONE = { width: 390, height: 800 };

/** How many requests of a page are on their way, the stream of events aside. */
const underWay = new WeakMap<Page, Set<unknown>>();
const QUIET = 120;

export interface Browser {
  context: BrowserContext;
  page: Page;
  /** Another tab. */
  tab: () => Promise<Page>;
  /** What the console said that it should not have said, of any tab. */
  complaints: string[];
  close: () => Promise<void>;
}

/** A browser that knows nothing yet. A refusal by the API is no complaint: pages answer it. */
export async function openBrowser(scheme: 'light' | 'dark' = 'light', viewport = DESKTOP): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'pulpo-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    args: ARGS,
    viewport,
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-US',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  const listen = (page: Page) => {
    if (underWay.has(page)) return;
    const requests = new Set<unknown>();
    underWay.set(page, requests);
    page.on('request', (request) => request.url().endsWith('/events') || requests.add(request));
    page.on('requestfinished', (request) => requests.delete(request));
    page.on('requestfailed', (request) => requests.delete(request));
    page.on('console', (message) => {
      const refused = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !refused) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
  };
  context.on('page', listen);
  const page = context.pages()[0] ?? (await context.newPage());
  listen(page);
  return {
    context,
    page,
    complaints,
    tab: () => context.newPage(),
    close: async () => {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Go somewhere and wait until the page has drawn what it asked for. */
export async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await settled(page);
}

export async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor();
  await vi.waitUntil(async () => (await page.locator('[role=status][aria-label=Loading]').count()) === 0, { timeout: 10_000 });
  await page.evaluate(() => document.fonts.ready);
  await quiet(page);
  await vi.waitUntil(async () => (await page.locator('.mantine-Skeleton-root').count()) === 0, { timeout: 10_000 });
}

/** Wait until the page has asked for all that it asks for: nothing under way, and nothing new for a moment. */
async function quiet(page: Page): Promise<void> {
  const requests = underWay.get(page) ?? new Set();
  let since = Date.now();
  await vi.waitUntil(
    () => {
      if (requests.size > 0) since = Date.now();
      return Date.now() - since >= QUIET;
    },
    { timeout: 10_000, interval: 20 },
  );
}
