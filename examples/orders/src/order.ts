/** What is sold, with prices in cents. */
const catalogue: Record<string, number> = { mug: 1250, poster: 900, shirt: 2400 };

export interface Line {
  sku: string;
  quantity: number;
}

export type Status = "accepted" | "packed" | "failed";

export interface Order {
  id: string;
  customer: string;
  lines: Line[];
  total: number;
  status: Status;
}

/** Says what is wrong with an order, for the person who sent it. */
export class InvalidOrder extends Error {}

/** Makes an order of what somebody sent. Unknown articles are found while packing. */
export function newOrder(id: string, input: unknown): Order {
  const { customer, lines } = Object(input) as { customer?: unknown; lines?: unknown };
  if (typeof customer !== "string" || customer.trim() === "") throw new InvalidOrder('"customer" must be a text');
  if (!Array.isArray(lines) || lines.length === 0) throw new InvalidOrder('"lines" must be a list that is not empty');
  return { id, customer: customer.trim(), lines: lines.map(newLine), total: 0, status: "accepted" };
}

function newLine(input: unknown, index: number): Line {
  const { sku, quantity = 1 } = Object(input) as { sku?: unknown; quantity?: unknown };
  if (typeof sku !== "string" || sku === "") throw new InvalidOrder(`"lines[${index}].sku" must be a text`);
  if (!Number.isInteger(quantity) || (quantity as number) < 1 || (quantity as number) > 100) {
    throw new InvalidOrder(`"lines[${index}].quantity" must be a whole number from 1 to 100`);
  }
  return { sku, quantity: quantity as number };
}

/** Packs an order: every article must be in the catalogue. */
export function pack(order: Order): Order {
  let total = 0;
  for (const { sku, quantity } of order.lines) {
    const price = Object.hasOwn(catalogue, sku) ? catalogue[sku] : undefined;
    if (price === undefined) throw new Error(`order ${order.id}: no article ${JSON.stringify(sku)} in the catalogue`);
    total += price * quantity;
  }
  return { ...order, total, status: "packed" };
}
