// What the compiler has to accept, and, below each @ts-expect-error, to refuse, of the order app's client.

import {
  ApiProblem,
  type CallResult,
  type Client,
  type Money,
  type Order,
  type OrderCreate,
  type OrderStatus,
  type Product,
  type RunState,
  type ValidateItemsOutput,
} from "./client/index.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._: Equal<A, B> extends true ? [] : [never]): void {}

export async function documents(api: Client): Promise<void> {
  const { data: order, etag } = await api.orders.get("ORD-1");
  same<typeof order, Order>();
  same<typeof etag, string>();
  same<Order["status"], OrderStatus>();
  same<Order["total"], Money>();
  same<Order["tracking_number"], string | null>();
  same<Product["active"], boolean>();

  const item = { product_id: "prod_456", quantity: 2, unit_price: 19.99 };
  const body: OrderCreate = {
    order_number: "ORD-20251030-001",
    customer_id: "cust_123",
    items: [item],
    total: 39.98,
    shipping_address_id: "addr_789",
  };
  await api.orders.create(body, { idempotencyKey: "k" });
  // @ts-expect-error -- items are required
  await api.orders.create({ order_number: "O", customer_id: "c", total: 1, shipping_address_id: "a" });
  // @ts-expect-error -- the status is not a client's to write
  await api.orders.create({ ...body, status: "pending" });
  // @ts-expect-error -- an amount is a number
  await api.orders.create({ ...body, total: "39.98" });
  // @ts-expect-error -- exact optional properties: left out is not undefined
  await api.orders.create({ ...body, currency: undefined });

  await api.orders.patch(order.id, { currency: null }, { ifMatch: order });
  await api.orders.patch(order.id, { currency: "EUR" }, { ifMatch: etag });
  // @ts-expect-error -- what is required has no default to go back to
  await api.orders.patch(order.id, { total: null });
  // @ts-expect-error -- ids never change
  await api.orders.replace(order.id, { ...body, id: "order_2" });

  // @ts-expect-error -- ledger entries are only read over HTTP
  await api.ledgerEntries.create({});
  // @ts-expect-error -- nor changed many at once
  await api.ledgerEntries.bulk({});
  await api.orders.bulk({ create: [body], patch: [{ id: "ORD-1", version: 3, changes: {} }], delete: ["ORD-2"] });
}

export async function lists(api: Client): Promise<void> {
  const page = await api.orders.list({
    filter: {
      status: ["pending", "shipped"],
      total: { gte: 10, lt: 100 },
      created_at: { gte: new Date(0) },
      "items.product_id": "prod_456",
      order_number: { startswith: "ORD-" },
    },
    q: "curie",
    sort: ["-total", "order_number"],
    limit: 20,
    count: true,
  });
  same<typeof page.items, Order[]>();
  same<typeof page.next, string | null>();
  same<typeof page.total, number | null>();

  // @ts-expect-error -- no status of an order
  await api.orders.list({ filter: { status: "lost" } });
  // @ts-expect-error -- amounts do not contain texts
  await api.orders.list({ filter: { total: { contains: "1" } } });
  // @ts-expect-error -- no field of an order
  await api.orders.list({ filter: { colour: "red" } });
  // @ts-expect-error -- a list is not sorted by what a document has many of
  await api.orders.list({ sort: "items.quantity" });

  const shown = await api.orders.list({ expand: ["customer", "items.product"] });
  for (const order of shown.items) {
    same<typeof order.customer, import("./client/index.js").Customer | null>();
    for (const line of order.items) {
      same<typeof line.product, Product | null>();
      same<typeof line.quantity, number>();
    }
  }
  // @ts-expect-error -- without expand there is no customer
  void page.items[0]?.customer;
  // @ts-expect-error -- an index may be out of bounds
  void page.items[0].id;
  // @ts-expect-error -- addresses inside a customer are not expanded
  await api.orders.list({ expand: ["shipping_address"] });

  const { data: part, etag } = await api.orders.get("ORD-1", { fields: ["total"], expand: ["customer"] });
  same<keyof typeof part, "id" | "total" | "customer">();
  same<typeof etag, null>();
  // @ts-expect-error -- not among the fields
  void part.status;

  for await (const order of api.orders.each({ fields: ["status"] })) {
    same<typeof order, Pick<Order, "id" | "status">>();
  }
  for await (const product of api.products.export({ filter: { active: true } })) {
    same<typeof product, Product>();
  }

  const groups = await api.orders.aggregate({ group: ["status"], bucket: "created_at:day", sum: ["total"] });
  for (const { group, count, sum } of groups) {
    same<typeof group.status, OrderStatus>();
    same<typeof group.created_at, string>();
    same<typeof count, number>();
    same<typeof sum.total, number | null>();
  }
  // @ts-expect-error -- texts have no sum
  await api.orders.aggregate({ sum: ["order_number"] });
  // @ts-expect-error -- no stretch of time
  await api.orders.aggregate({ bucket: "created_at:fortnight" });
}

export async function operations(api: Client): Promise<void> {
  const { output, run, already, replayed } = await api.operations.orders.checkout.validateItems({ order_id: "ORD-1" });
  same<typeof output, ValidateItemsOutput>();
  same<typeof run, string | null>();
  same<typeof already | typeof replayed, boolean>();
  // @ts-expect-error -- an order is required
  await api.operations.orders.checkout.validateItems({});
  // @ts-expect-error -- as is the input
  await api.operations.orders.checkout.validateItems();
  // @ts-expect-error -- no field of the input
  await api.operations.orders.checkout.validateItems({ order_id: "ORD-1", colour: "red" });

  const results = await api.operations.orders.checkout.validateItems.bulk([{ order_id: "ORD-1" }]);
  same<typeof results, CallResult<ValidateItemsOutput>[]>();
  for (const result of results) {
    if (result.problem === undefined) {
      same<typeof result.output, ValidateItemsOutput>();
    } else {
      same<typeof result.output, undefined>();
    }
  }

  const started = await api.flows.orderToCash.start({ order_id: "O", payment_method: "card", address_zip: "90210" });
  same<typeof started.state, RunState>();
  // @ts-expect-error -- no such flow
  void api.flows.order_to_cash;
  for await (const { event } of api.runs.events(started.id)) {
    if (event.type === "run") {
      same<typeof event.run.state, RunState>();
    } else if (event.type === "step.completed") {
      same<typeof event.operation, string>();
    }
  }
}

export function problems(error: unknown): string {
  if (error instanceof ApiProblem && error.is("PULPO609")) {
    same<typeof error.code, "PULPO609">();
    return error.detail;
  }
  if (error instanceof ApiProblem && error.code === "insufficient_stock") {
    return error.hint ?? error.title;
  }
  throw error;
}
