import type { HttpHandler } from "anyfaas";

import { InvalidOrder, newOrder } from "./order.ts";
import { accept, loadOrder } from "./store.ts";

/** POST /orders takes an order, GET /orders/{id} tells how it stands. */
export const handler: HttpHandler = async (request, ctx) => {
  if (request.method === "GET") {
    const order = await loadOrder(ctx.params.id!, ctx.signal);
    return order === undefined ? problem(404, `there is no order ${ctx.params.id}`) : Response.json(order);
  }

  let input: unknown;
  try {
    input = await request.json();
  } catch {
    return problem(400, "the body is not JSON");
  }
  try {
    const order = newOrder(crypto.randomUUID(), input);
    await accept(order, ctx.signal);
    ctx.log.info("order accepted", { order: order.id });
    return Response.json(order, { status: 202, headers: { location: `/orders/${order.id}` } });
  } catch (error) {
    if (error instanceof InvalidOrder) return problem(400, error.message);
    throw error;
  }
};

function problem(status: number, error: string): Response {
  return Response.json({ error }, { status });
}
