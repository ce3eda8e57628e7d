import type { HttpHandler } from "anyfaas";

const words: Record<string, string> = { de: "Hallo", en: "Hello", es: "Hola", fr: "Bonjour" };

/** GET /greetings/{name}?language=fr and POST /greetings {"name": "Ada", "language": "fr"}. */
export const handler: HttpHandler = async (request, ctx) => {
  let input: { name?: unknown; language?: unknown };
  if (request.method === "POST") {
    try {
      input = Object(await request.json());
    } catch {
      return problem("the body is not JSON");
    }
  } else {
    const query = new URL(request.url).searchParams;
    input = { name: ctx.params.name, language: query.get("language") ?? undefined };
  }

  const { name, language = "en" } = input;
  if (typeof name !== "string" || name.trim() === "") return problem('"name" must be a text');
  if (typeof language !== "string" || !Object.hasOwn(words, language)) {
    return problem(`"language" must be one of ${Object.keys(words).join(", ")}`);
  }
  ctx.log.info("greeted", { language });
  return Response.json({ greeting: `${words[language]}, ${name.trim()}!` });
};

function problem(error: string): Response {
  return Response.json({ error }, { status: 400 });
}
