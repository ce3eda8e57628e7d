import type { Order } from "./order.ts";

/**
 * The service's resources, through the URLs that `uses` puts into the
 * environment. All of them answer plain HTTP.
 */
const url = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: the function lacks a "uses" in serverless.yaml`);
  return value;
};

async function call(target: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(target, init);
  if (!answer.ok && answer.status !== 404) {
    throw new Error(`${init.method ?? "GET"} ${target}: ${answer.status} ${await answer.text()}`);
  }
  return answer;
}

export async function loadOrder(id: string, signal: AbortSignal): Promise<Order | undefined> {
  const answer = await call(`${url("TABLE_ORDERS_URL")}/${encodeURIComponent(id)}`, { signal });
  return answer.status === 404 ? undefined : ((await answer.json()) as Order);
}

export async function saveOrder(order: Order, signal: AbortSignal): Promise<void> {
  await call(`${url("TABLE_ORDERS_URL")}/${encodeURIComponent(order.id)}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(order),
    signal,
  });
}

/** Takes an order in: kept first, then queued, so that no queued order is unknown. */
export async function accept(order: Order, signal: AbortSignal): Promise<void> {
  await saveOrder(order, signal);
  await call(url("QUEUE_FULFILMENT_URL"), { method: "POST", body: JSON.stringify({ order: order.id }), signal });
}

export async function readFile(key: string, signal: AbortSignal): Promise<string | undefined> {
  const answer = await call(`${url("BUCKET_FILES_URL")}/${key}`, { signal });
  return answer.status === 404 ? undefined : await answer.text();
}

export async function writeFile(key: string, content: string, signal: AbortSignal): Promise<void> {
  await call(`${url("BUCKET_FILES_URL")}/${key}`, { method: "PUT", body: content, signal });
}

/** Keys below a prefix, from the bucket's S3 listing. */
export async function listFiles(prefix: string, signal: AbortSignal): Promise<string[]> {
  const keys: string[] = [];
  let token = "";
  do {
    const query = new URLSearchParams({ "list-type": "2", prefix, ...(token && { "continuation-token": token }) });
    const xml = await (await call(`${url("BUCKET_FILES_URL")}?${query}`, { signal })).text();
    for (const [, key] of xml.matchAll(/<Key>(.*?)<\/Key>/g)) keys.push(decodeXml(key!));
    token = decodeXml(/<NextContinuationToken>(.*?)</.exec(xml)?.[1] ?? "");
  } while (token !== "");
  return keys;
}

function decodeXml(xml: string): string {
  const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return xml.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) =>
    code !== undefined ? String.fromCodePoint(Number(code)) : (named[name] ?? whole),
  );
}
