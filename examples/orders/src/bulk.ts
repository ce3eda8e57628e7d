import type { EventHandler, StorageEvent } from "anyfaas";

import { InvalidOrder, newOrder, type Order } from "./order.ts";
import { accept, readFile } from "./store.ts";

/** Takes in every order of a CSV file: a header, then customer,sku,quantity. */
export const handler: EventHandler<StorageEvent> = async (event, ctx) => {
  const text = await readFile(event.data.key, ctx.signal);
  if (text === undefined) return; // removed again in the meantime
  const { orders, problems } = parseOrders(event.id, text);
  for (const order of orders) await accept(order, ctx.signal);
  for (const problem of problems) ctx.log.warn("line refused", { file: event.data.key, problem });
  ctx.log.info("file read", { file: event.data.key, orders: orders.length, refused: problems.length });
};

/**
 * Orders are named after the event and the line, so that reading a file twice
 * makes no order twice.
 */
export function parseOrders(event: string, text: string): { orders: Order[]; problems: string[] } {
  const orders: Order[] = [];
  const problems: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (index === 0 || line.trim() === "") continue;
    const [customer, sku, quantity] = line.split(",").map((field) => field.trim());
    try {
      orders.push(newOrder(`${event}-${index}`, { customer, lines: [{ sku, quantity: Number(quantity) }] }));
    } catch (error) {
      if (!(error instanceof InvalidOrder)) throw error;
      problems.push(`line ${index + 1}: ${error.message}`);
    }
  }
  return { orders, problems };
}
