import { chromium, type Browser as Chromium, type BrowserContext, type BrowserServer, type Page } from 'playwright-core';
import { inject, vi } from 'vitest';

const CHROMIUM = process.env.PULPO_CHROMIUM ?? '/usr/bin/chromium';
const ARGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]; // prettier-ignore

export const DESKTOP = { width: 1360, height: 860 };
export const PHONE = { width: 390, height: 800 };

/** How many requests of a page are on their way, the stream of events aside. */
const underWay = new WeakMap<Page, Set<unknown>>();
const QUIET = 60;

/** One Chromium for all the tests; each `openBrowser` is a profile of its own in it. */
export function startChromium(): Promise<BrowserServer> {
  return chromium.launchServer({ executablePath: CHROMIUM, args: ARGS });
}

let connected: Promise<Chromium> | undefined;

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
export async function openBrowser(viewport = DESKTOP): Promise<Browser> {
  connected ??= chromium.connect(inject('chromium'));
  const context = await (await connected).newContext({
    viewport,
    reducedMotion: 'reduce',
    locale: 'en-US',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  context.on('page', (page) => {
    const requests = new Set<unknown>();
    underWay.set(page, requests);
    page.on('request', (request) => request.url().endsWith('/events') || requests.add(request));
    page.on('requestfinished', (request) => requests.delete(request));
    page.on('requestfailed', (request) => requests.delete(request));
    page.on('console', (message) => {
      const refused = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !refused) complaints.push(message.text());
    });
    page.on('dialog', (dialog) => void dialog.accept()); // a form with changes is left: the next test begins elsewhere
    page.on('pageerror', (error) => complaints.push(error.message));
  });
  return {
    context,
    page: await context.newPage(),
    complaints,
    tab: () => context.newPage(),
    close: () => context.close(),
  };
}

/** Go somewhere and wait until the page has drawn what it asked for. */
export async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await settled(page);
}

export async function settled(page: Page): Promise<void> {
  await page.locator('h1').first().waitFor();
  await quiet(page);
  await vi.waitUntil(() => page.evaluate(DRAWN), { timeout: 10_000, interval: 20 });
}

/** Whether nothing on the page stands for what is still to come. */
const DRAWN = `document.fonts.status === 'loaded' &&
  document.querySelector('[role=status][aria-label=Loading], .mantine-Skeleton-root') === null`;

/** Wait until the page has asked for all that it asks for: nothing under way, and nothing new for a moment. */
async function quiet(page: Page): Promise<void> {
  const requests = underWay.get(page) ?? new Set();
  let since = Date.now();
  await vi.waitUntil(
    () => {
      if (requests.size > 0) since = Date.now();
      return Date.now() - since >= QUIET;
    },
    { timeout: 10_000, interval: 10 },
  );
}
