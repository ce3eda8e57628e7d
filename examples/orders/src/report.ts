import type { EventHandler, ScheduleEvent } from "anyfaas";

import type { Order } from "./order.ts";
import { listFiles, readFile, writeFile } from "./store.ts";

/** Writes reports/<day>.json with the number of packed orders and their value. */
export const handler: EventHandler<ScheduleEvent> = async (event, ctx) => {
  const day = (event.data.scheduledTime ?? event.time).slice(0, 10);
  let packed = 0;
  let total = 0;
  for (const key of await listFiles(`packed/${day}/`, ctx.signal)) {
    const slip = await readFile(key, ctx.signal);
    if (slip === undefined) continue;
    packed += 1;
    total += (JSON.parse(slip) as Order).total;
  }
  await writeFile(`reports/${day}.json`, JSON.stringify({ day, packed, total }), ctx.signal);
  ctx.log.info("report written", { day, packed, total });
};
