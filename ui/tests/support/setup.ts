import type { TestProject } from 'vitest/node';

import { startProject } from './project';

declare module 'vitest' {
  interface ProvidedContext {
    shop: { ui: string; api: string; root: string };
    board: { ui: string; api: string; root: string };
  }
}

/** Both examples, up for as long as the tests run; the shop's steps take a while, so that they can be watched. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [shop, board] = await Promise.all([
    startProject('ecommerce-app', { PULPO_ENGINE_DELAY: 'all=0.35' }),
    startProject('todo-app'),
  ]);
  await Promise.all([shop.python('history.py'), board.python('many.py')]);
  project.provide('shop', { ui: shop.ui, api: shop.api, root: shop.root });
  project.provide('board', { ui: board.ui, api: board.api, root: board.root });
  return async () => {
    await Promise.all([shop.stop(), board.stop()]);
  };
}
