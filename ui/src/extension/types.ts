/**
 * A page of a project's own: a JavaScript module in the project's `ui/` folder, named in `[[ui.pages]]`, whose default
 * export is an `OwnPageModule`. It draws with whatever it likes; its scripts and styles come from `/project/…`.
 */

import type { Json, Meta } from '../api/types';

export interface PageContext {
  /** What the page is drawn into; empty at first, and emptied afterwards. */
  element: HTMLElement;
  meta: Meta;
  theme: 'light' | 'dark';
  /** One request to the API; throws an Error with `status`, `code` and `detail` where it says no. */
  ask: (path: string, options?: { method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'; body?: Json; headers?: Record<string, string> }) => Promise<{ data: unknown; headers: Headers }>;
  /** Calls back soon after documents of one of these models have changed, or after a gap. */
  onChange: (models: string[], callback: () => void) => void;
  /** Go to an address of the UI, `/data/orders/order_1`. */
  navigate: (address: string) => void;
  notify: (message: string, colour?: string) => void;
}

export interface OwnPageModule {
  /** Draws the page; what it returns is called when the page is left. */
  mount: (context: PageContext) => (() => void) | undefined | Promise<(() => void) | undefined>;
}
