// Events: one call per event unless the handler takes batches, and the ids of
// those to deliver again.

import { describe } from './context.mjs'

const parallel = 10

// run hands events to the handler. ordered stops at the first failure: it and all
// after it count as failed.
export async function run(handler, events, ctx, ordered) {
  if (handler.batch !== undefined) return runBatch(handler.batch, events, ctx)
  const failed = new Set()
  const attempt = async (event) => {
    try {
      await handler.event(event, ctx)
      return true
    } catch (error) {
      failed.add(event.id)
      ctx.log.error('event failed', { id: event.id, error: describe(error) })
      return false
    }
  }
  if (ordered) {
    for (let n = 0; n < events.length; n++) {
      if (await attempt(events[n])) continue
      for (const rest of events.slice(n)) failed.add(rest.id)
      break
    }
  } else {
    let next = 0
    const worker = async () => {
      while (next < events.length) await attempt(events[next++])
    }
    await Promise.all(Array.from({ length: Math.min(parallel, events.length) }, worker))
  }
  return events.map((event) => event.id).filter((id) => failed.has(id))
}

async function runBatch(batch, events, ctx) {
  const all = events.map((event) => event.id)
  try {
    const result = await batch(events, ctx)
    if (result === undefined || result === null) return []
    if (!Array.isArray(result.failures)) {
      throw new TypeError('a batch handler must return nothing or { failures: [event ids] }')
    }
    const failed = new Set(result.failures)
    return all.filter((id) => failed.has(id))
  } catch (error) {
    ctx.log.error('batch failed', { ids: all, error: describe(error) })
    return all
  }
}
