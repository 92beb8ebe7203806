// The client of the order app against its API, which runs at $SHOP_URL. Every test has documents of its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, test } from "node:test";

import { ApiConnectionError, ApiProblem, type OrderCreate, type RunEvent, createClient } from "./client/index.js";

const api = createClient({ baseUrl: process.env["SHOP_URL"] ?? "" });
const PAY = { payment_method: "credit_card", address_zip: "90210" };
let placed = 0;

before(async () => {
  await api.customers.create({
    id: "cust_123",
    email: "ada@mail.example",
    name: "Ada Moreno",
    addresses: [{ id: "addr_789", street: "1 Rodeo Drive", city: "Beverly Hills", state: "CA", zip_code: "90210" }],
    payment_methods: [{ id: "pm_visa", token: "pm_card_visa", expires: "2031-12" }],
  });
  await api.products.create({ id: "prod_456", sku: "MUG", name: "Enamel mug", price: 19.99, inventory: 1000 });
});

/** The order of the first page of the documentation, under a number of its own. */
function cart(): OrderCreate {
  placed += 1;
  return {
    order_number: `ORD-20251030-${String(placed).padStart(3, "0")}`,
    customer_id: "cust_123",
    items: [{ product_id: "prod_456", quantity: 2, unit_price: 19.99 }],
    total: 39.98,
    shipping_address_id: "addr_789",
  };
}

/** The problem that a call rejects with. */
async function problem(call: Promise<unknown>): Promise<ApiProblem> {
  const error: unknown = await call.then(
    () => assert.fail("the call should have been refused"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ApiProblem, String(error));
  return error;
}

test("an order is created once for a key, with all that it is", async () => {
  const idempotencyKey = randomUUID();
  const body = cart();
  const first = await api.orders.create(body, { idempotencyKey });
  assert.equal(first.etag, '"1"');
  assert.equal(first.replayed, false);
  assert.equal(first.data.status, "pending");
  assert.equal(first.data.items[0]?.total_price, 39.98);
  const again = await api.orders.create(body, { idempotencyKey });
  assert.deepEqual(again, { ...first, replayed: true });
  const other = await problem(api.orders.create(cart(), { idempotencyKey }));
  assert.deepEqual([other.status, other.code], [422, "PULPO410"]);
  assert.deepEqual((await api.orders.get(body.order_number)).data, first.data);
});

test("lists filter, sort, count and go on to the last page", async () => {
  const category = randomUUID();
  const prices = [5, 1, 4, 4, 2, 3, 9];
  for (const [index, price] of prices.entries()) {
    await api.products.create({
      sku: `${category},${index}`,
      name: `Thing ${index}`,
      price,
      category,
      inventory: index,
    });
  }
  const filter = { category, price: { lt: 9 }, active: true };
  const first = await api.products.list({ filter, sort: ["-price", "sku"], limit: 2, count: true });
  assert.equal(first.total, 6);
  assert.deepEqual(
    first.items.map(({ price, inventory }) => [price, inventory]),
    [
      [5, 0],
      [4, 2],
    ],
  );
  const seen: number[] = [];
  for await (const product of api.products.each({ filter, sort: ["-price", "sku"], limit: 2, fields: ["price"] })) {
    assert.deepEqual(Object.keys(product).sort(), ["id", "price"]);
    seen.push(product.price);
  }
  assert.deepEqual(seen, [5, 4, 4, 3, 2, 1]);
  const sizes: number[] = [];
  for await (const page of api.products.pages({ filter, limit: 4, offset: 1 })) {
    sizes.push(page.items.length);
  }
  assert.deepEqual(sizes, [4, 1]);
  const skus = [`${category},1`, `${category},3`]; // a comma in a value is part of it
  assert.equal((await api.products.list({ filter: { sku: { in: skus } } })).items.length, 2);
  assert.equal((await api.products.list({ filter: { category, sku: { nin: skus } } })).items.length, 5);
  assert.equal((await api.products.list({ filter: { category, created_at: { gt: new Date() } } })).items.length, 0);
  assert.equal((await api.products.list({ q: "THING 3", filter: { category } })).items[0]?.inventory, 3);
});

test("documents referred to stand beside the references", async () => {
  const { data } = await api.orders.create(cart());
  const { data: order, etag } = await api.orders.get(data.id, { expand: ["customer", "items.product"] });
  assert.equal(etag, null);
  assert.equal(order.customer?.name, "Ada Moreno");
  assert.equal(order.items[0]?.product?.sku, "MUG");
  const { items } = await api.orders.list({ filter: { id: data.id }, fields: ["total"], expand: ["customer"] });
  assert.deepEqual(
    items.map((each) => [each.total, each.customer?.id]),
    [[39.98, "cust_123"]],
  );
});

test("of two changes of one version the second is refused", async () => {
  const { data, etag } = await api.customers.create({ email: `${randomUUID()}@mail.example`, name: "Bo" });
  assert.equal(await api.customers.getIfChanged(data.id, etag), null);
  const changed = await api.customers.patch(data.id, { name: "Bob" }, { ifMatch: etag });
  assert.deepEqual([changed.data.name, changed.etag], ["Bob", '"2"']);
  const late = await problem(api.customers.patch(data.id, { name: "Bert" }, { ifMatch: data }));
  assert.ok(late.is("PULPO609"));
  assert.equal(late.status, 412);
  assert.equal((await api.customers.getIfChanged(data.id, etag))?.data.name, "Bob");
  const { email } = data;
  const whole = await api.customers.replace(data.id, { email, name: "Bert" }, { ifMatch: changed.data });
  assert.equal(whole.data.version, 3);
  await problem(api.customers.delete(data.id, { ifMatch: etag }));
  await api.customers.delete(data.id, { ifMatch: whole.etag });
  assert.equal((await problem(api.customers.get(data.id))).code, "PULPO404");
});

test("problems say what is wrong and where", async () => {
  const short = await problem(
    api.orders.create({ ...cart(), items: [{ product_id: "MUG", quantity: 0, unit_price: 1 }] }),
  );
  assert.ok(short.is("PULPO602"));
  assert.deepEqual(
    short.errors.map(({ pointer }) => pointer),
    ["/items/0/quantity"],
  );
  assert.match(short.request_id, /^\w+$/);
  const ours = await problem(api.orders.create({ ...cart(), total: 1 }));
  assert.deepEqual([ours.status, ours.code], [422, "total_mismatch"]);
  assert.match(ours.hint ?? "", /sum/);
  const given = await problem(api.request({ method: "GET", path: "/orders", query: [["statuss", "pending"]] }));
  assert.equal(given.hint, 'did you mean "status"?');
  const nowhere = createClient({ baseUrl: "http://127.0.0.1:9" });
  await assert.rejects(nowhere.orders.list(), ApiConnectionError);
});

test("an operation with a key happens once, and says so", async () => {
  const { data } = await api.orders.create(cart());
  const idempotencyKey = randomUUID();
  const { calculateShipping, validateItems } = api.operations.orders.checkout;
  const input = { order_id: data.order_number, address_zip: "90210" };
  const first = await calculateShipping(input, { idempotencyKey });
  assert.deepEqual([first.already, first.replayed, first.output.applies], [false, false, true]);
  const again = await calculateShipping(input, { idempotencyKey });
  assert.deepEqual(again, { ...first, replayed: true });
  const asked = await calculateShipping(input);
  assert.deepEqual([asked.already, asked.replayed, asked.output.quote_id], [true, false, first.output.quote_id]);
  assert.equal((await api.runs.get(first.run ?? "")).name, "orders.checkout.calculate_shipping");
  const results = await validateItems.bulk([{ order_id: data.id }, { order_id: "nobody" }]);
  const became = results.map((result) => (result.problem === undefined ? result.output.valid : result.problem.code));
  assert.deepEqual(became, [true, "PULPO404"]);
});

test("a flow is watched until it ends, from anywhere on its way", async () => {
  const { data } = await api.orders.create(cart());
  const everything = new AbortController();
  const { cursor } = await firstCursor(data.id);
  const run = await api.flows.orderToCash.start({ order_id: data.id, ...PAY }, { idempotencyKey: randomUUID() });
  const events: { cursor: string; event: RunEvent }[] = [];
  for await (const message of api.runs.events(run.id)) {
    events.push(message);
  }
  const types = events.map(({ event }) => event.type);
  assert.equal(types[0], "run");
  assert.equal(types.at(-1), "run.completed");
  const shipped = events.findIndex(
    ({ event }) => event.type === "step.completed" && "operation" in event && event.operation.endsWith("ship_items"),
  );
  assert.ok(shipped > 0);
  const rest: RunEvent[] = [];
  for await (const { event } of api.runs.events(run.id, { cursor: events[shipped]?.cursor })) {
    rest.push(event);
  }
  assert.deepEqual(
    rest,
    events.slice(shipped + 1).map(({ event }) => event),
  );
  for await (const _ of api.runs.events(run.id, { cursor: events.at(-1)?.cursor })) {
    assert.fail("nothing came after the end");
  }

  const done = await api.runs.finished(run.id);
  assert.equal(done.state, "completed");
  assert.ok(done.steps.length >= 11);
  assert.equal((await api.orders.get(data.id)).data.status, "shipped");
  const booked = (await api.ledgerEntries.list({ filter: { order_id: data.order_number } })).items;
  assert.ok(booked.some(({ lines }) => lines.some(({ account }) => account === "sales")));

  for await (const { event } of api.events({ cursor, signal: everything.signal })) {
    if (event.type === "document.changed" && event.model === "Order" && event.id === data.id) {
      break;
    }
  }
  const { items } = await api.runs.list({
    filter: { name: "order_to_cash", state: ["completed", "failed"] },
    limit: 5,
  });
  assert.ok(items.some(({ id }) => id === run.id));
  const plan = await api.flows.orderToCash.plan();
  assert.ok(plan.steps.some(({ operation, pivot }) => pivot && operation === "orders.fulfillment.ship_items"));
});

/** A cursor that is before everything that happens from now on. */
async function firstCursor(id: string): Promise<{ cursor: string }> {
  const watching = api.events();
  const first = watching.next();
  for (;;) {
    await api.orders.patch(id, { currency: "USD" }); // until the stream has begun and tells of it
    const found = await Promise.race([first, new Promise<null>((resolve) => setTimeout(() => resolve(null), 50))]);
    if (found !== null) {
      await watching.return();
      assert.ok(found.done !== true);
      return found.value;
    }
  }
}

test("a run that was undone is retried by a new one", async () => {
  const { data } = await api.orders.create(cart());
  const run = await api.flows.orderToCash.start({
    ...PAY,
    order_id: data.id,
    payment_method: "pm_card_chargeDeclined",
  });
  const undone = await api.runs.finished(run.id);
  assert.deepEqual([undone.state, undone.error?.code], ["compensated", "declined"]);
  assert.ok((await problem(api.runs.wake(run.id))).is("PULPO407"));
  assert.ok((await problem(api.runs.cancel(run.id, { reason: "too late" }))).is("PULPO407"));
  const next = await api.runs.retry(run.id, { input: { ...PAY, order_id: data.id } });
  assert.equal(next.retry_of, run.id);
  assert.equal((await api.runs.finished(next.id)).state, "completed");
});

test("exports stream all of it, and many writes answer one by one", async () => {
  const category = randomUUID();
  const create = Array.from({ length: 450 }, (_, index) => ({
    sku: `${category}-${index}`,
    name: "=1+1",
    price: index / 100,
    category,
  }));
  const idempotencyKey = randomUUID();
  const results = await api.products.bulk({ create, delete: ["nobody"] }, { idempotencyKey });
  assert.ok(results.create.every(({ status, version }) => status === 201 && version === 1));
  assert.deepEqual(
    results.delete.map((result) => [result.status, result.problem?.code]),
    [[404, "PULPO404"]],
  );
  assert.ok((await api.products.bulk({ create }, { idempotencyKey })).create.every(({ replayed }) => replayed));
  let count = 0;
  for await (const { price, sku } of api.products.export({
    filter: { category },
    sort: "price",
    fields: ["price", "sku"],
  })) {
    assert.deepEqual([sku, price], [`${category}-${count}`, count / 100]);
    count += 1;
  }
  assert.equal(count, 450);
  const file = await api.products.download({ format: "csv", filter: { category }, fields: ["sku", "name"] });
  assert.equal(file.filename, "products.csv");
  const rows = (await new Response(file.body).text()).trim().split("\r\n");
  assert.deepEqual([rows.length, rows[0]], [451, "id,sku,name"]);
  assert.ok(rows[1]?.endsWith(",'=1+1"));
  const [figures] = await api.products.aggregate({
    filter: { category },
    group: ["category"],
    sum: ["price"],
    avg: ["weight_grams"],
  });
  assert.deepEqual(figures, { group: { category }, count: 450, sum: { price: 1010.25 }, avg: { weight_grams: 400 } });
});

test("the application describes itself", async () => {
  const meta = await api.meta();
  assert.equal(meta.version, 1);
  assert.ok(meta.models.some(({ name, key }) => name === "Order" && key === "order_number"));
  assert.deepEqual(
    meta.flows.map(({ name }) => name),
    ["order_to_cash", "orders", "payments"],
  );
});
