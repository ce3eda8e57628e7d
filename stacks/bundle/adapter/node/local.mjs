// The worker of the local provider: one long-lived process that serves one
// function on ANYFAAS_LISTENER until its input ends or it is asked to stop.

import { createServer } from 'node:http'
import { Context, describe, logLine } from './context.mjs'
import * as handlers from './handler.mjs'
import { run } from './events.mjs'
import { BadRequest, IncomingRequest } from './request.mjs'
import { send } from './response.mjs'

function contextOf(message) {
  const headers = message.headers
  return new Context(
    headers['anyfaas-request-id'] ?? crypto.randomUUID(),
    Number(headers['anyfaas-deadline-ms'] ?? 0),
    headers['anyfaas-params'],
    headers['anyfaas-client-ip'] ?? null,
    headers.traceparent ?? null,
  )
}

function reply(out, status, value) {
  const body = JSON.stringify(value)
  out.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))])
  out.end(body)
}

// fail answers for a handler that threw. The cause is in the log only.
function fail(out, ctx, error) {
  if (error instanceof BadRequest) {
    ctx.log.warn('bad request', { error: error.message })
    if (!out.headersSent) return reply(out, 400, { message: 'Bad Request' })
  } else {
    ctx.log.error('unhandled error', { error: describe(error) })
    if (!out.headersSent) return reply(out, 500, { message: 'Internal Server Error' })
  }
  out.destroy() // half an answer is out: the client must see that it is not whole
}

function serveHTTP(handler, message, out) {
  const ctx = contextOf(message)
  out.on('close', () => {
    if (!out.writableFinished) Context.cancel(ctx)
  })
  const answer = (response) => send(out, response, message.method, Context.settle(ctx))
  const failed = async (error) => {
    await Context.settle(ctx)
    fail(out, ctx, error)
  }
  try {
    const result = handler(new IncomingRequest(message, ctx), ctx)
    if (typeof result?.then === 'function') result.then(answer).catch(failed)
    else answer(result)?.catch(failed)
  } catch (error) {
    failed(error)
  }
}

async function readJSON(message) {
  const chunks = []
  for await (const chunk of message) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

async function serveEvents(handler, message, out) {
  const ctx = contextOf(message)
  const body = await readJSON(message)
  const failures = await run(handler, Array.isArray(body) ? body : [body], ctx, message.headers['anyfaas-ordered'] === 'true')
  await Context.settle(ctx)
  reply(out, failures.length === 0 ? 200 : 500, { failures })
}

async function serveInvoke(handler, message, out) {
  const ctx = contextOf(message)
  try {
    const event = await readJSON(message)
    const result = handler.batch === undefined ? await handler.event(event, ctx) : await handler.batch([event], ctx)
    await Context.settle(ctx)
    reply(out, 200, result === undefined ? null : result)
  } catch (error) {
    await Context.settle(ctx)
    ctx.log.error('unhandled error', { error: describe(error) })
    reply(out, 500, { message: error instanceof Error ? error.message : String(error) })
  }
}

// serve starts the worker. functions holds {value, name} under http and event.
export function serve(functions) {
  const { http, event } = functions
  if (http !== undefined && event !== undefined && http.value === event.value) handlers.both(http.value, http.name)
  const onRequest = http && handlers.http(http.value, http.name)
  const onEvent = event && handlers.event(event.value, event.name)

  let stopping = false
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 1 << 20 }, (message, out) => {
    out.sendDate = false // the front writes it
    if (stopping) out.shouldKeepAlive = false
    const kind = message.headers['anyfaas-kind']
    if (kind === undefined) {
      if (onRequest !== undefined) return serveHTTP(onRequest, message, out)
      return reply(out, 404, { message: 'this function has no http handler' })
    }
    if (onEvent === undefined) return reply(out, 500, { message: 'this function has no event handler', failures: [] })
    const done = kind === 'invoke' ? serveInvoke(onEvent, message, out) : serveEvents(onEvent, message, out)
    done.catch((error) => {
      logLine('error', 'the event cannot be read', message.headers['anyfaas-request-id'], { error: describe(error) })
      reply(out, 400, { message: error.message })
    })
  })

  const listener = process.env.ANYFAAS_LISTENER ?? ''
  if (listener.startsWith('unix:')) {
    server.listen(listener.slice('unix:'.length))
  } else {
    const colon = listener.lastIndexOf(':')
    if (colon < 0) throw new Error(`ANYFAAS_LISTENER must be unix:/path or host:port, not ${JSON.stringify(listener)}`)
    server.listen(Number(listener.slice(colon + 1)), listener.slice(0, colon))
  }

  process.on('SIGTERM', () => {
    if (stopping) return
    stopping = true
    server.close(() => process.exit(0))
    server.closeIdleConnections()
    setInterval(() => server.closeIdleConnections(), 20) // those whose last answer is out by then
  })
  process.stdin.on('end', () => process.exit(0))
  process.stdin.on('error', () => process.exit(0))
  process.stdin.resume()
}
