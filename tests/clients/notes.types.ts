// The same for a small project: operations with and without a model as their input.

import { type Client, type Note, createClient } from "./client/index.js";

export const api: Client = createClient({ baseUrl: "/api", headers: { Authorization: "Bearer 1" }, timeout: 5_000 });

export async function notes(): Promise<Note[]> {
  await api.notes.create({ text: "Buy milk" });
  await api.notes.patch("note_1", { done: null });
  const written = await api.operations.notes.desk.writeNote({ text: "Buy milk" });
  const finished: null = (await api.operations.notes.desk.finishNote({ note_id: written.output.note_id })).output;
  void finished;
  await api.flows.notes.start({ text: "Buy milk" });
  // @ts-expect-error -- a text is required
  await api.operations.notes.desk.writeNote({ note: "Buy milk" });
  // @ts-expect-error -- a key is an option, not a field
  await api.operations.notes.desk.writeNote({ text: "Buy milk", idempotencyKey: "k" });
  // @ts-expect-error -- there are no customers here
  void api.customers;
  return (await api.notes.list({ filter: { done: false } })).items;
}
