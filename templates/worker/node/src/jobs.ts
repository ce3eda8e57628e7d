import type { EventHandler, HttpHandler, QueueEvent, ScheduleEvent } from "anyfaas";

/** A page to look at. */
interface Job {
  url: string;
}

/** POST /jobs {"url": "https://…"} queues a job and answers at once. */
export const submit: HttpHandler = async (request, ctx) => {
  const job = parse(await request.text());
  if (job === undefined) return Response.json({ error: '"url" must be a web address' }, { status: 400 });
  await enqueue(job, ctx.signal);
  return Response.json({ queued: job.url }, { status: 202 });
};

/**
 * Does one job. Throwing brings it back a little later; after three times it
 * goes to the queue "failures".
 */
export const work: EventHandler<QueueEvent<Job>> = (event, ctx) => {
  const { hostname, protocol } = new URL(event.data.body.url);
  if (protocol !== "https:") throw new Error(`${event.data.body.url} is not safe to visit`);
  ctx.log.info("done", { host: hostname, attempt: event.deliverycount });
};

/** Queues the job that the schedule carries as its input. */
export const sweep: EventHandler<ScheduleEvent<Job>> = async (event, ctx) => {
  if (event.data.input !== undefined) await enqueue(event.data.input, ctx.signal);
};

function parse(text: string): Job | undefined {
  try {
    return { url: new URL(JSON.parse(text).url).href };
  } catch {
    return undefined;
  }
}

async function enqueue(job: Job, signal: AbortSignal): Promise<void> {
  const answer = await fetch(process.env.QUEUE_JOBS_URL!, { method: "POST", body: JSON.stringify(job), signal });
  if (!answer.ok) throw new Error(`queue answered ${answer.status}: ${await answer.text()}`);
}
