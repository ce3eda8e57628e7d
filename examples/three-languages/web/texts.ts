/** The bucket of texts, through the URL that `uses` puts into the environment. */
const bucket = process.env.BUCKET_TEXTS_URL!;

export async function write(key: string, text: string, signal: AbortSignal): Promise<void> {
  await call(`${bucket}/${key}`, { method: "PUT", body: text, signal });
}

/** Returns undefined when there is no such object. */
export async function read(key: string, signal: AbortSignal): Promise<string | undefined> {
  const answer = await call(`${bucket}/${key}`, { signal });
  return answer.status === 404 ? undefined : answer.text();
}

/** Keys below a prefix, up to the thousand that one S3 listing holds. */
export async function list(prefix: string, signal: AbortSignal): Promise<string[]> {
  const answer = await call(`${bucket}?${new URLSearchParams({ "list-type": "2", prefix })}`, { signal });
  return Array.from((await answer.text()).matchAll(/<Key>(.*?)<\/Key>/g), ([, key]) => key!);
}

async function call(url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, init);
  if (!answer.ok && answer.status !== 404) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}
