import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const REPOSITORY = resolve(import.meta.dirname, '../../..');
const PYTHON = process.env.PULPO_PYTHON ?? join(REPOSITORY, '.venv/bin/python');
const PULPO = join(dirname(PYTHON), 'pulpo');
const MADE = new Set(['generated', '.pulpo', '__pycache__', '.pytest_cache', 'tests']);

export interface Project {
  ui: string;
  api: string;
  root: string;
  pulpo: (...words: string[]) => Promise<string>;
  python: (script: string, ...words: string[]) => Promise<void>;
  stop: () => Promise<void>;
}

/** A copy of an example, compiled and up on free ports. */
export async function startProject(name: string, settings: Record<string, string> = {}): Promise<Project> {
  const root = join(await mkdtemp(join(tmpdir(), 'pulpo-ui-')), name);
  await cp(join(REPOSITORY, 'examples', name), root, {
    recursive: true,
    filter: (path) => !MADE.has(path.split('/').at(-1) ?? ''),
  });
  const [api, ui, gateway] = await Promise.all([freePort(), freePort(), freePort()]);
  const env = {
    ...process.env,
    PULPO_API_PORT: String(api),
    PULPO_UI_PORT: String(ui),
    PULPO_SERVICES_GATEWAY_PORT: String(gateway),
    ...settings,
  };
  const pulpo = async (...words: string[]) => (await run(PULPO, words, { cwd: root, env })).stdout;
  await pulpo('compile');
  await pulpo('up');
  return {
    ui: `http://localhost:${ui}`,
    api: `http://localhost:${api}`,
    root,
    pulpo,
    python: (script, ...words) => python(root, script, words, env),
    stop: async () => {
      await pulpo('down');
      await rm(dirname(root), { recursive: true, force: true });
    },
  };
}

/** Run a script of this folder in a project's root. */
export async function python(root: string, script: string, words: string[] = [], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  await run(PYTHON, [join(import.meta.dirname, script), ...words], { cwd: root, env });
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => found(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** One request to a project's API, as another client would send it. */
export async function send<T>(base: string, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(base + path, {
    method,
    ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === '' ? null : JSON.parse(text)) as T;
}

interface Placed {
  id: string;
  order_number: string;
  version: number;
}

/** An order of two mugs in the shop. */
export function placeOrder(api: string, number: string): Promise<Placed> {
  return send<Placed>(api, 'POST', '/orders', {
    order_number: number,
    customer_id: 'cust_123',
    items: [{ product_id: 'prod_456', quantity: 2, unit_price: 19.99 }],
    total: 39.98,
    shipping_address_id: 'addr_789',
  });
}

interface Begun {
  id: string;
}

/** A run that waits because its order is held; the one that is there already, else one that begins now. */
export async function stuckRun(api: string): Promise<string> {
  const [held] = await send<{ order_id: string }[]>(api, 'GET', '/incidents?status=open');
  const order = held?.order_id ?? '';
  const [live] = await send<Begun[]>(api, 'GET', `/runs?live=${order}`);
  if (live !== undefined) return live.id;
  const input = { order_id: order, payment_method: 'credit_card', address_zip: '90210' };
  return (await send<Begun>(api, 'POST', '/flows/order_to_cash/runs', input)).id;
}
