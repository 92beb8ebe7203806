// What the client makes of servers that are slow, full, broken or gone. The server is one of Node's, on a free port.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";

import {
  ApiConnectionError,
  ApiProblem,
  ApiTimeout,
  type Client,
  type ClientOptions,
  createClient,
} from "./client/index.js";
import { lines } from "./client/stream.js";
import { filterPairs } from "./client/values.js";

type Handler = (request: IncomingMessage, response: ServerResponse, asked: number) => void;

/** A client of a server that answers as the handler does, and the requests that came. */
async function serving(
  context: TestContext,
  handler: Handler,
  options: Partial<ClientOptions> = {},
): Promise<{ api: Client; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    handler(request, response, requests.length);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { api: createClient({ baseUrl: `http://127.0.0.1:${port}/`, ...options }), requests };
}

function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  const body = { type: `urn:pulpo:error:${code}`, title: "No", status, code, detail: "Not now", request_id: "r1" };
  response.writeHead(status, { "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify(body));
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "Content-Type": "application/json", ETag: '"1"' }).end(JSON.stringify(body));
}

const full: Handler = (_, response, asked) =>
  asked < 3 ? refuse(response, 503, "PULPO612", { "Retry-After": "0" }) : json(response, { id: "note_1" });

test("what may be repeated is sent again when the server is full", async (context) => {
  const { api, requests } = await serving(context, full);
  assert.equal((await api.notes.get("note_1")).data.id, "note_1");
  assert.equal(requests.length, 3);
});

test("a call with a key is repeated with it", async (context) => {
  const { api, requests } = await serving(context, full);
  await api.notes.create({ text: "a" }, { idempotencyKey: "k" });
  assert.deepEqual(
    requests.map(({ headers }) => headers["idempotency-key"]),
    ["k", "k", "k"],
  );
});

test("what might happen twice is not repeated", async (context) => {
  const { api, requests } = await serving(context, full);
  await assert.rejects(api.notes.create({ text: "a" }), (error) => error instanceof ApiProblem && error.is("PULPO612"));
  assert.equal(requests.length, 1);
});

test("attempts have an end, and a server that does not say when is not asked again", async (context) => {
  const { api, requests } = await serving(context, full, { retries: 1 });
  await assert.rejects(api.notes.get("note_1"), { status: 503, retryAfter: 0 });
  assert.equal(requests.length, 2);
  const silent = await serving(context, (_, response) => refuse(response, 503, "PULPO507"));
  await assert.rejects(silent.api.notes.get("note_1"), { status: 503, retryAfter: null });
  assert.equal(silent.requests.length, 1);
});

test("waiting for another attempt can be cancelled", async (context) => {
  const { api } = await serving(context, (_, response) => refuse(response, 503, "PULPO612", { "Retry-After": "20" }));
  await assert.rejects(api.notes.list({ signal: AbortSignal.timeout(100) }), { name: "TimeoutError" });
});

test("no answer in time is a timeout; a cancelled call rejects with its reason", async (context) => {
  const { api } = await serving(context, () => undefined, { timeout: 50 });
  await assert.rejects(api.notes.get("note_1"), ApiTimeout);
  const reason = new Error("left the page");
  await assert.rejects(api.notes.get("note_1", { signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(api.notes.get("note_1", { signal: AbortSignal.timeout(10), timeout: 0 }), {
    name: "TimeoutError",
  });
});

test("an answer that breaks off is no answer", async (context) => {
  const { api } = await serving(context, (_, response) => {
    response.writeHead(200, { "Content-Length": "100" }).write("[", () => response.destroy());
  });
  await assert.rejects(api.notes.list(), ApiConnectionError);
});

test("an answer from in between is a problem too", async (context) => {
  const { api } = await serving(context, (_, response) => response.writeHead(502).end("<html>"));
  await assert.rejects(api.notes.list(), { name: "ApiProblem", status: 502, code: "http_502", title: "Bad Gateway" });
});

test("headers are asked for before every attempt, and a request's own come last", async (context) => {
  let count = 0;
  const headers = (): Record<string, string> => ({ Authorization: `Bearer ${(count += 1)}`, Accept: "a/b" });
  const { api, requests } = await serving(context, full, { headers });
  await api.notes.get("note_1", { headers: { Accept: "application/json" } });
  assert.deepEqual(
    requests.map(({ headers: sent }) => sent.authorization),
    ["Bearer 1", "Bearer 2", "Bearer 3"],
  );
  assert.equal(requests[0]?.headers.accept, "application/json");
});

test("what gives the headers may fail in its own words, and so may what cannot be sent", async (context) => {
  const expired = new Error("log in again");
  const headers = (): never => {
    throw expired;
  };
  const { api, requests } = await serving(context, full, { headers });
  await assert.rejects(api.notes.get("note_1"), expired);
  const later = await serving(context, full, { headers: () => Promise.reject(expired) });
  await assert.rejects(later.api.notes.list(), expired);
  const bad = await serving(context, full, { headers: { "a b": "c" } });
  await assert.rejects(bad.api.notes.list(), TypeError);
  assert.equal(requests.length + later.requests.length + bad.requests.length, 0);
});

test("ids are one segment of an address, or are refused", async (context) => {
  const { api, requests } = await serving(context, (_, response) => json(response, {}));
  await api.notes.get("a/b ?c");
  assert.equal(requests[0]?.url, "/notes/a%2Fb%20%3Fc");
  for (const id of ["", ".", ".."]) {
    await assert.rejects(api.notes.delete(id), TypeError);
  }
  assert.equal(requests.length, 1);
});

test("filters become parameters that mean the same", () => {
  const day = new Date("2025-10-30T09:15:00.123Z");
  assert.deepEqual(filterPairs({ status: "a", gone: undefined }), [["status", "a"]]);
  assert.deepEqual(filterPairs({ status: ["a,b", "c"] }), [
    ["status", "a,b"],
    ["status", "c"],
  ]);
  assert.deepEqual(filterPairs({ n: { gte: 1, in: [2, 3], lt: undefined } }), [
    ["n[gte]", "1"],
    ["n[in]", "2,3"],
  ]);
  assert.deepEqual(filterPairs({ at: { gt: day }, done: false }), [
    ["at[gt]", day.toISOString()],
    ["done", "false"],
  ]);
  assert.deepEqual(filterPairs({ s: { nin: ["a,b", "c"] } }), [
    ["s[ne]", "a,b"],
    ["s[ne]", "c"],
  ]);
  assert.deepEqual(filterPairs({ sort: "up" }), [["sort[eq]", "up"]]);
  assert.throws(() => filterPairs({ status: [] }), TypeError);
  assert.throws(() => filterPairs({ s: { eq: "a", in: ["b,c"] } }), TypeError);
});

const STREAM = { "Content-Type": "text/event-stream" };

test("a stream that breaks off goes on after the last event that came", async (context) => {
  const { api, requests } = await serving(context, (_, response, asked) => {
    response.writeHead(200, STREAM);
    if (asked === 1) {
      response.write('retry: 1\n\nid: 0\n\nid: 1\ndata: {"type":"run.queued","run":"r"}\n\nid: 2\ndata: {"ty', () =>
        response.destroy(),
      );
    } else if (asked === 2) {
      response.end(": the server is going down\n\n");
    } else {
      response.end('id: 2\r\ndata: {"type":\r\ndata: "run.completed","run":"r"}\r\n\r\nid: 3\ndata: {}\n\n');
    }
  });
  const seen: [string, string][] = [];
  for await (const { cursor, event } of api.runs.events("r")) {
    seen.push([cursor, event.type]);
  }
  assert.deepEqual(seen, [
    ["1", "run.queued"],
    ["2", "run.completed"],
  ]);
  assert.deepEqual(
    requests.map(({ url }) => url),
    ["/runs/r/events", "/runs/r/events?cursor=1", "/runs/r/events?cursor=1"],
  );
});

test("a sign of life takes the time between attempts back to its beginning", async (context) => {
  const times: number[] = [];
  const { api } = await serving(context, (_, response, asked) => {
    times.push(performance.now());
    response.writeHead(200, STREAM);
    response.end(asked < 6 ? "retry: 20\n\n" : asked === 6 ? ": still here\n\n" : 'id: 1\ndata: {"type":"run.queued"}\n\n');
  });
  for await (const _ of api.events()) {
    break;
  }
  const gaps = times.slice(1).map((time, place) => time - (times[place] ?? 0));
  assert.equal(gaps.length, 6);
  assert.ok((gaps[5] ?? 0) < (gaps[4] ?? 0) / 2, gaps.join(" "));
});

test("a stream ends with 204, and rejects where its cursor has expired", async (context) => {
  const over = await serving(context, (_, response) => response.writeHead(204).end());
  assert.deepEqual(await over.api.runs.events("r", { cursor: "9" }).next(), { done: true, value: undefined });
  const old = await serving(context, (_, response) => refuse(response, 410, "PULPO509"));
  await assert.rejects(old.api.events({ cursor: "1" }).next(), { status: 410, code: "PULPO509" });
});

test("leaving a stream closes its connection, and so does its signal", async (context) => {
  let closed = Promise.resolve<unknown>(undefined);
  const { api } = await serving(context, (_, response) => {
    closed = once(response, "close");
    response.writeHead(200, STREAM).write('id: 1\ndata: {"type":"run.queued"}\n\n');
  });
  for await (const { cursor } of api.events()) {
    assert.equal(cursor, "1");
    break;
  }
  await closed;
  const stop = new AbortController();
  const reason = new Error("left the page");
  const watch = async (): Promise<void> => {
    for await (const _ of api.events({ signal: stop.signal })) {
      stop.abort(reason);
    }
  };
  await assert.rejects(watch(), reason);
  await closed;
});

test("an export that breaks off rejects after what came", async (context) => {
  const { api } = await serving(context, (_, response) => {
    response.writeHead(200, { "Transfer-Encoding": "chunked" });
    response.write('{"id":"note_1"}\n{"id":"no', () => response.destroy());
  });
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const { id } of api.notes.export()) {
      seen.push(id);
    }
  };
  await assert.rejects(read(), ApiConnectionError);
  assert.deepEqual(seen, ["note_1"]);
});

test("an export of which nothing more comes rejects after the time limit", async (context) => {
  const { api } = await serving(context, (_, response) => {
    response.writeHead(200, { "Transfer-Encoding": "chunked" });
    response.write('{"id":"note_1"}\n{"id":"no');
  });
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const { id } of api.notes.export({ timeout: 200 })) {
      seen.push(id);
    }
  };
  await assert.rejects(read(), ApiTimeout);
  assert.deepEqual(seen, ["note_1"]);
});

test("lines are whole, wherever a body is cut", async () => {
  const bytes = new TextEncoder().encode("über\r\n\n€ 5\nend");
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const parts = [bytes.slice(0, cut), bytes.slice(cut)];
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => {
        const part = parts.shift();
        return part === undefined ? controller.close() : controller.enqueue(part);
      },
    });
    const found: string[] = [];
    for await (const line of lines(body)) {
      found.push(line);
    }
    assert.deepEqual(found, ["über", "", "€ 5", "end"]);
  }
});
