import type { EventHandler, QueueEvent } from "anyfaas";

import { pack } from "./order.ts";
import { loadOrder, saveOrder, writeFile } from "./store.ts";

/**
 * Packs an order and leaves a packing slip. Throwing brings the message back
 * a little later; after three times it goes to "unpacked". A message may come
 * twice, so what is packed already is left alone.
 */
export const handler: EventHandler<QueueEvent<{ order: string }>> = async (event, ctx) => {
  const id = event.data.body.order;
  const order = await loadOrder(id, ctx.signal);
  if (order === undefined) throw new Error(`there is no order ${id}`);
  if (order.status === "packed") return;

  const packed = pack(order);
  await writeFile(`packed/${event.time.slice(0, 10)}/${id}.json`, JSON.stringify(packed), ctx.signal);
  await saveOrder(packed, ctx.signal);
  ctx.log.info("order packed", { order: id, total: packed.total, attempt: event.deliverycount });
};
