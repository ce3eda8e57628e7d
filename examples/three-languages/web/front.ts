import type { HttpHandler } from "anyfaas";

import { write } from "./texts.ts";

/** PUT /texts/{name} keeps a text, whose words are then counted. */
export const handler: HttpHandler = async (request, ctx) => {
  const name = ctx.params.name!;
  if (!/^[\w-]{1,64}$/.test(name)) {
    return Response.json({ error: "a name is up to 64 letters, digits, - and _" }, { status: 400 });
  }
  const text = await request.text();
  await write(`in/${name}.txt`, text, ctx.signal);
  ctx.log.info("text taken in", { name, characters: text.length });
  return Response.json({ name, characters: text.length }, { status: 202 });
};
