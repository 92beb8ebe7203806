import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Page } from 'playwright-core';

const FOLDER = resolve(import.meta.dirname, '../../../docs/ui');
const wanted = process.env.PULPO_UPDATE_PICTURES === '1';
if (wanted) mkdirSync(FOLDER, { recursive: true });

/** A picture for the docs, where pictures are asked for: they differ from run to run, if only in their times. */
export async function picture(page: Page, name: string): Promise<void> {
  if (wanted) await page.screenshot({ path: resolve(FOLDER, `${name}.png`) });
}
