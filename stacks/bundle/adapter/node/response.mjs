// A web-standard Response whose common forms (text, bytes, JSON, nothing) are kept
// as they were given: undici's builds a stream for each body, only for the server
// to read it back. Anything uncommon is handed to the real one, errors included.

const NativeResponse = globalThis.Response
const NativeHeaders = globalThis.Headers

const token = /^[\w!#$%&'*+.^`|~-]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/

// flatten returns [name, value, …] of plain header objects, undefined for other forms.
function flatten(headers) {
  if (headers === undefined) return []
  if (headers === null || typeof headers !== 'object' || Object.getPrototypeOf(headers) !== Object.prototype) return undefined
  const flat = []
  for (const name of Object.keys(headers)) {
    let value = headers[name]
    if (typeof value === 'number') value = String(value)
    if (typeof value !== 'string' || !token.test(name) || !fieldValue.test(value)) return undefined
    flat.push(name.toLowerCase(), value.trim())
  }
  return flat
}

// plain says whether body and init are of the kind kept here.
function plain(body, init) {
  if (body !== null && body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) return false
  if (init === undefined) return true
  if (init === null || typeof init !== 'object' || init.statusText !== undefined) return false
  const status = init.status
  if (status === undefined) return true
  return Number.isInteger(status) && status >= 200 && status <= 599 && (body == null || (status !== 204 && status !== 205 && status !== 304))
}

class Response {
  #body
  #status
  #flat
  #headers
  #native

  constructor(body, init) {
    const flat = plain(body, init) ? flatten(init?.headers) : undefined
    if (flat === undefined) {
      this.#native = new NativeResponse(body, init)
      return
    }
    this.#body = body ?? null
    this.#status = init?.status ?? 200
    this.#flat = flat
    if (typeof body === 'string' && !has(flat, 'content-type')) flat.push('content-type', 'text/plain;charset=UTF-8')
  }

  static json(data, init) {
    const text = JSON.stringify(data)
    const flat = text !== undefined && plain(text, init) ? flatten(init?.headers) : undefined
    if (flat === undefined) return NativeResponse.json(data, init)
    if (!has(flat, 'content-type')) flat.push('content-type', 'application/json')
    const response = new Response(null, undefined)
    response.#body = text
    response.#status = init?.status ?? 200
    response.#flat = flat
    return response
  }

  static error() {
    return NativeResponse.error()
  }

  static redirect(url, status) {
    return NativeResponse.redirect(url, status)
  }

  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this === Response ? NativeResponse : this, value)
  }

  get status() {
    return this.#native === undefined ? this.#status : this.#native.status
  }

  get ok() {
    return this.status >= 200 && this.status <= 299
  }

  get headers() {
    if (this.#headers !== undefined) return this.#headers
    if (this.#flat === undefined) return this.#native.headers
    this.#headers = new NativeHeaders()
    for (let i = 0; i < this.#flat.length; i += 2) this.#headers.append(this.#flat[i], this.#flat[i + 1])
    return this.#headers
  }

  clone() {
    return this.#real().clone()
  }

  #real() {
    return (this.#native ??= new NativeResponse(this.#body, { status: this.#status, headers: this.headers }))
  }

  // kept returns {status, flat, body} of a response that nobody has looked into,
  // with flat undefined when its headers may have been changed since.
  static kept(value) {
    if (!(#native in value) || value.#native !== undefined) return undefined
    return { status: value.#status, body: value.#body, flat: value.#headers === undefined ? value.#flat : undefined }
  }

  static real(value) {
    return value.#real()
  }
}

function has(flat, name) {
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return true
  return false
}

for (const [name, own] of Object.entries(Object.getOwnPropertyDescriptors(NativeResponse.prototype))) {
  if (name in Response.prototype) continue
  if (own.get !== undefined) {
    Object.defineProperty(Response.prototype, name, { ...own, get() { return Response.real(this)[name] } })
  } else if (typeof own.value === 'function') {
    Object.defineProperty(Response.prototype, name, { ...own, value(...args) { return Response.real(this)[name](...args) } })
  }
}
Object.setPrototypeOf(Response.prototype, NativeResponse.prototype)

export function install() {
  Object.defineProperty(globalThis, 'Response', { value: Response, writable: true, configurable: true, enumerable: false })
}

const isResponse = (value) => value !== null && typeof value === 'object' && typeof value.status === 'number' && typeof value.headers?.[Symbol.iterator] === 'function'

// send writes a handler's response to a node:http response. It returns a promise
// for bodies that take their time, undefined otherwise. settled is what must be
// over before the answer ends, or undefined.
export function send(out, response, method, settled) {
  if (!isResponse(response)) {
    throw new TypeError(`an http handler must return a Response, not ${response === null ? 'null' : typeof response}`)
  }
  const kept = Response.kept(response)
  if (kept === undefined) return stream(out, response, method, settled)
  const head = kept.flat ?? flattenAll(response.headers)
  return settled === undefined ? finish(out, kept, head, method) : settled.then(() => finish(out, kept, head, method))
}

function finish(out, { status, body }, head, method) {
  const lean = []
  for (let i = 0; i < head.length; i += 2) {
    if (head[i] !== 'content-length' || (method === 'HEAD' && body === null)) lean.push(head[i], head[i + 1])
  }
  if (status !== 204 && status !== 304 && !has(lean, 'content-length')) {
    lean.push('content-length', body === null ? '0' : String(typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength))
  }
  out.writeHead(status, lean)
  out.end(body === null || method === 'HEAD' ? undefined : body)
}

function flattenAll(headers) {
  const flat = []
  for (const [name, value] of headers) flat.push(name.toLowerCase(), value)
  return flat
}

async function stream(out, response, method, settled) {
  let head = flattenAll(response.headers)
  if (response.url) {
    // What fetch returned is decoded already; its headers still tell of the encoded form.
    head = head.filter((_, i) => !['content-encoding', 'content-length', 'transfer-encoding', 'connection'].includes(head[i - (i % 2)]))
  }
  out.writeHead(response.status, head)
  if (response.body === null || response.body === undefined || method === 'HEAD') {
    await settled
    out.end()
    return
  }
  out.flushHeaders()
  for await (const chunk of response.body) {
    if (out.destroyed) break // leaving the loop cancels the source
    if (!out.write(typeof chunk === 'string' ? chunk : Buffer.from(chunk.buffer ?? chunk, chunk.byteOffset, chunk.byteLength))) {
      await new Promise((resolve) => {
        out.once('drain', resolve)
        out.once('close', resolve)
      })
    }
  }
  await settled
  out.end()
}
