import { release, released } from './gate'

const seen = { now: 0, most: 0 }
let waiting: (() => void)[] = []

export async function http(request: Request, ctx: any): Promise<Response> {
  const url = new URL(request.url)
  switch (url.pathname) {
    case '/boom':
      throw new Error('the secret cause')
    case '/bin':
      return new Response(new Uint8Array([0, 255, 1, 254]), { headers: { 'content-type': 'image/png' } })
    case '/empty':
      return new Response(null, { status: 204 })
    case '/not-modified':
      return new Response(null, { status: 304, headers: { etag: '"1"' } })
    case '/cookies': {
      const response = new Response('ok')
      response.headers.append('set-cookie', 'a=1; Path=/; HttpOnly')
      response.headers.append('set-cookie', 'b=2')
      return response
    }
    case '/redirect':
      return new Response(null, { status: 302, headers: { location: '/echo' } })
    case '/invalid':
      return { statusCode: 200 } as any
    case '/text':
      return new Response('héllo')
    case '/json':
      return Response.json({ ok: true }, { status: 201 })
    case '/size':
      return Response.json({ size: (await request.arrayBuffer()).byteLength })
    case '/context':
      return Response.json({ requestId: ctx.requestId, params: ctx.params, clientIp: ctx.clientIp, function: ctx.functionName, deadline: ctx.deadline !== null, remaining: ctx.remainingMs() > 0 })
    case '/log':
      ctx.log.debug('a debug line')
      ctx.log.info('an info line', { order: 7 })
      return new Response('logged')
    case '/stream': {
      const text = new TextEncoder()
      return new Response(new ReadableStream({
        async start(controller) {
          controller.enqueue(text.encode('first '))
          await released()
          controller.enqueue(text.encode('second'))
          controller.close()
        },
      }), { headers: { 'content-type': 'text/plain' } })
    }
    case '/release':
      release()
      return new Response('released')
    case '/deadline':
      ctx.log.info('waiting ' + ctx.requestId)
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      return new Response('stopped in time')
  }
  return Response.json({
    method: request.method,
    path: url.pathname,
    x: url.searchParams.getAll('x'),
    body: await request.text(),
    header: request.headers.get('X-Test'),
    cookie: request.headers.get('cookie'),
    encoding: request.headers.get('content-encoding'),
    host: url.host,
    internal: [...request.headers.keys()].filter((name) => name.startsWith('anyfaas-')),
  })
}

export async function event(event: any, ctx: any) {
  const body = event.data?.body
  if (event.type === 'dev.anyfaas.invoke.v1') {
    if (event.data?.most) return seen.most
    if (event.data?.boom) throw new Error('no such order')
    return event.data === null ? undefined : { got: event.data, id: ctx.requestId }
  }
  ctx.log.info('event', { id: event.id, body })
  if (body === 'boom') throw new Error('bad message ' + event.id)
  if (body === 'meet') {
    seen.most = Math.max(seen.most, ++seen.now)
    await new Promise<void>((resolve) => {
      waiting.push(resolve)
      if (waiting.length === 10) {
        waiting.forEach((go) => go())
        waiting = []
      }
    })
    seen.now--
  }
}
