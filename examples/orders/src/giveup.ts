import type { EventHandler, QueueEvent } from "anyfaas";

import { loadOrder, saveOrder } from "./store.ts";

/** Takes what the dead-letter queue holds and marks those orders as failed. */
export const handler: EventHandler<QueueEvent<{ order: string }>> = async (event, ctx) => {
  const order = await loadOrder(event.data.body.order, ctx.signal);
  if (order === undefined || order.status === "packed") return;
  await saveOrder({ ...order, status: "failed" }, ctx.signal);
  ctx.log.warn("order failed", { order: order.id, customer: order.customer });
};
