import type { TestProject } from 'vitest/node';

import { startChromium } from './browser';
import { startProject } from './project';

interface Up {
  ui: string;
  api: string;
  root: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    shop: Up;
    board: Up;
    /** Where the one Chromium of all tests is reached. */
    chromium: string;
  }
}

/** Both examples and a browser, up for as long as the tests run; the shop's steps take a while, so that they can be watched. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [shop, board, chromium] = await Promise.all([
    startProject('ecommerce-app', { PULPO_ENGINE_DELAY: 'all=0.3' }),
    startProject('todo-app').then(async (each) => {
      await each.python('many.py');
      return each;
    }),
    startChromium(),
  ]);
  project.provide('shop', { ui: shop.ui, api: shop.api, root: shop.root });
  project.provide('board', { ui: board.ui, api: board.api, root: board.root });
  project.provide('chromium', chromium.wsEndpoint());
  return async () => {
    await Promise.all([shop.stop(), board.stop(), chromium.close()]);
  };
}
