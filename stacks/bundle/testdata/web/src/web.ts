// Checks, from inside a handler, that requests and responses are what the web
// standard says. Each check returns what it saw; the test compares with the value
// beside it.

const checks: Record<string, (request: Request) => [unknown, unknown] | Promise<[unknown, unknown]>> = {
  'a request is a Request': (r) => [r instanceof Request, true],
  'toString tag': (r) => [Object.prototype.toString.call(r), '[object Request]'],
  'its url is a URL': (r) => [new URL(r.url).pathname, '/a%20b'],
  'headers are Headers': (r) => [r.headers instanceof Headers && r.headers === r.headers, true],
  'text': async (r) => [await r.text(), '{"a":1}'],
  'json': async (r) => [await r.json(), { a: 1 }],
  'arrayBuffer': async (r) => [(await r.arrayBuffer()).byteLength, 7],
  'bytes': async (r) => [(await (r as any).bytes()) instanceof Uint8Array, true],
  'blob': async (r) => [[(await r.blob()).size, (await r.clone !== undefined)], [7, true]],
  'body is a stream': async (r) => [await new Response(r.body).text(), '{"a":1}'],
  'bodyUsed': async (r) => [[r.bodyUsed, await r.text(), r.bodyUsed], [false, '{"a":1}', true]],
  'a second read fails': async (r) => [(await r.text(), await r.text().catch((e) => e.name)), 'TypeError'],
  'a clone has its own body': async (r) => {
    const copy = r.clone()
    return [[await copy.text(), await r.text()], ['{"a":1}', '{"a":1}']]
  },
  'a read request cannot be cloned': async (r) => {
    await r.text()
    try {
      r.clone()
      return ['cloned', 'TypeError']
    } catch (e: any) {
      return [e.name, 'TypeError']
    }
  },
  'new Request(request)': async (r) => {
    const other = new Request(r, { headers: { 'x-more': '1' } })
    return [[other.method, other.headers.get('x-more'), await other.text()], ['POST', '1', '{"a":1}']]
  },
  'new Request(url, request)': (r) => [new Request('http://elsewhere/', { method: r.method }).url, 'http://elsewhere/'],
  'a plain Request is a Request': () => [new Request('http://x/') instanceof Request, true],
  'something else is none': () => [({}) instanceof Request || ({}) instanceof Response, false],
  'a subclass works': () => {
    class Mine extends Request {}
    return [[new Mine('http://x/') instanceof Mine, new Request('http://x/') instanceof Mine], [true, false]]
  },
  'the other properties': (r) => [[r.redirect, r.mode, r.credentials, r.cache, typeof r.signal.aborted], ['follow', 'cors', 'same-origin', 'default', 'boolean']],
  'inspect does not fail': async (r) => [typeof (await import('node:util')).inspect(r), 'string'],
  'fetch(request)': async (r) => [await fetch(r).catch((e) => e.name), 'TypeError'], // refused, not misread
  'response text': async () => [await new Response('a').text(), 'a'],
  'response headers can be changed': () => {
    const response = new Response('a', { headers: { a: '1' } })
    response.headers.set('b', '2')
    response.headers.append('a', '3')
    return [[...response.headers], [['a', '1, 3'], ['b', '2'], ['content-type', 'text/plain;charset=UTF-8']]]
  },
  'response json': async () => [await Response.json({ a: [1] }).json(), { a: [1] }],
  'Response.json is a Response': () => [Response.json(1) instanceof Response, true],
  'Response.redirect': () => [Response.redirect('http://x/', 303).status, 303],
  'response clone': async () => {
    const response = new Response('a', { status: 201 })
    const copy = response.clone()
    return [[copy.status, await copy.text(), await response.text()], [201, 'a', 'a']]
  },
  'response bodyUsed': async () => {
    const response = new Response('a')
    const before = response.bodyUsed
    await response.text()
    return [[before, response.bodyUsed], [false, true]]
  },
  'response body is a stream': async () => [new Response('a').body instanceof ReadableStream, true],
  'a status out of range': () => thrown(() => new Response('a', { status: 99 }), 'RangeError'),
  'a body where none may be': () => thrown(() => new Response('a', { status: 204 }), 'TypeError'),
  'a header that is none': () => thrown(() => new Response('a', { headers: { 'a b': '1' } }), 'TypeError'),
  'a header with a line break': () => thrown(() => new Response('a', { headers: { a: '1\r\nb: 2' } }), 'TypeError'),
  'form data': async (r) => {
    const form = new FormData()
    form.set('name', 'value')
    return [(await new Response(form).formData()).get('name'), 'value']
  },
}

function thrown(f: () => unknown, want: string): [unknown, unknown] {
  try {
    f()
    return ['nothing', want]
  } catch (e: any) {
    return [e.name, want]
  }
}

export async function check(request: Request): Promise<Response> {
  const name = new URL(request.url).searchParams.get('check') ?? ''
  if (name === '') return Response.json(Object.keys(checks))
  const [got, want] = await checks[name](request)
  return Response.json({ got, want })
}

export async function form(request: Request): Promise<Response> {
  const form = await request.formData()
  return Response.json(Object.fromEntries(form))
}
