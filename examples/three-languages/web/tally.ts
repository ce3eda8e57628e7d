import type { EventHandler, HttpHandler, ScheduleEvent } from "anyfaas";

import { list, read as readText, write } from "./texts.ts";

/** What keep writes for each text. */
interface Count {
  words: number;
}

/** GET /tally: the sum, and when it was made. */
export const read: HttpHandler = async (_request, ctx) => {
  const tally = await readText("tally.json", ctx.signal);
  return Response.json(tally === undefined ? { texts: 0, words: 0, at: null } : JSON.parse(tally));
};

/** Sums the counts of all texts. */
export const sum: EventHandler<ScheduleEvent> = async (event, ctx) => {
  let texts = 0;
  let words = 0;
  for (const key of await list("out/", ctx.signal)) {
    const count = await readText(key, ctx.signal);
    if (count === undefined) continue;
    texts += 1;
    words += (JSON.parse(count) as Count).words;
  }
  await write("tally.json", JSON.stringify({ texts, words, at: event.time }), ctx.signal);
};
