// A web-standard Request over a node:http message. Building undici's Request for
// each call costs more than everything else the adapter does, so IncomingRequest
// answers the usual questions itself and turns into a real one when it must.

import { createGunzip } from 'node:zlib'
import { Readable } from 'node:stream'

const NativeRequest = globalThis.Request
const NativeResponse = globalThis.Response
const nativeFetch = globalThis.fetch

// A BadRequest is the client's fault: answered with 400 when nobody catches it.
export class BadRequest extends TypeError {}

// What a URL parser would leave as it is; anything else goes through one.
const plainTarget = /^\/(?!\/)[\w\-.~!$&()*+,;=:@%/]*(\?[\w\-.~!$&()*+,;=:@%/?]*)?$/
const plainHost = /^[a-z0-9.-]+(:[0-9]+)?$/

function absoluteURL(target, host) {
  if (plainHost.test(host) && plainTarget.test(target) && !target.includes('/.')) return 'http://' + host + target
  try {
    return new URL(target.startsWith('/') ? 'http://' + host + target : target, 'http://' + host).href
  } catch {
    throw new BadRequest(`the request target ${JSON.stringify(target)} is not a URL`)
  }
}

// The content of a message, decoded when the client compressed it.
function content(message, encoding) {
  if (encoding !== 'gzip') return message
  const plain = createGunzip()
  message.on('error', (error) => plain.destroy(error))
  message.on('aborted', () => plain.destroy(new BadRequest('the client went away in the middle of the body')))
  return message.pipe(plain)
}

function readAll(stream) {
  return new Promise((resolve, reject) => {
    const chunks = []
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
    stream.on('error', (error) => reject(error instanceof BadRequest ? error : new BadRequest('the body cannot be read: ' + error.message, { cause: error })))
    stream.on('aborted', () => reject(new BadRequest('the client went away in the middle of the body')))
  })
}

export class IncomingRequest {
  #message
  #context
  #url
  #headers
  #native
  #used = false
  #empty
  #encoding

  constructor(message, context) {
    this.#message = message
    this.#context = context
    this.#url = absoluteURL(message.url, message.headers.host ?? 'localhost')
    // As in the standard, GET and HEAD requests have no body.
    this.#empty = message.method === 'GET' || message.method === 'HEAD'
    const encoding = message.headers['content-encoding']
    this.#encoding = encoding !== undefined && /^x?-?gzip$/i.test(encoding) && !this.#empty ? 'gzip' : undefined
  }

  get method() {
    return this.#message.method
  }

  get url() {
    return this.#url
  }

  get headers() {
    if (this.#native !== undefined) return this.#native.headers
    if (this.#headers === undefined) {
      const headers = new Headers()
      const raw = this.#message.rawHeaders
      for (let i = 0; i < raw.length; i += 2) {
        const name = raw[i].toLowerCase()
        if (name.startsWith('anyfaas-')) continue
        if (this.#encoding !== undefined && (name === 'content-encoding' || name === 'content-length')) continue
        headers.append(name, raw[i + 1])
      }
      this.#headers = headers
    }
    return this.#headers
  }

  get signal() {
    return this.#context.signal
  }

  get bodyUsed() {
    return this.#native === undefined ? this.#used : this.#native.bodyUsed
  }

  get body() {
    if (this.#empty) return null
    return this.#used && this.#native === undefined ? drained() : this.#real().body
  }

  async text() {
    return this.#native === undefined ? (await this.#bytes()).toString('utf8').replace(/^\uFEFF/, '') : this.#native.text()
  }

  async json() {
    return JSON.parse(await this.text())
  }

  async arrayBuffer() {
    if (this.#native !== undefined) return this.#native.arrayBuffer()
    const bytes = await this.#bytes()
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  }

  async bytes() {
    return new Uint8Array(await this.arrayBuffer())
  }

  async blob() {
    if (this.#native !== undefined) return this.#native.blob()
    return new Blob([await this.#bytes()], { type: this.headers.get('content-type') ?? '' })
  }

  // Multipart parsing is undici's; it wants a body of its own kind.
  async formData() {
    if (this.#native !== undefined) return this.#native.formData()
    const type = this.headers.get('content-type') ?? ''
    return new NativeResponse(await this.#bytes(), { headers: { 'content-type': type } }).formData()
  }

  clone() {
    return this.#real().clone()
  }

  #bytes() {
    if (this.#empty) return Promise.resolve(Buffer.alloc(0))
    if (this.#used) return Promise.reject(new TypeError('Body is unusable: Body has already been read'))
    this.#used = true
    return readAll(content(this.#message, this.#encoding))
  }

  #real() {
    if (this.#native === undefined) {
      if (this.#used) throw new TypeError('Body is unusable: Body has already been read')
      const init = { method: this.method, headers: this.headers, signal: this.signal }
      if (!this.#empty) {
        init.body = Readable.toWeb(content(this.#message, this.#encoding))
        init.duplex = 'half'
      }
      this.#native = new NativeRequest(this.#url, init)
    }
    return this.#native
  }

  // real returns what undici itself accepts as a Request.
  static real(value) {
    return typeof value === 'object' && value !== null && #native in value ? value.#real() : value
  }
}

function drained() {
  const stream = new ReadableStream({ start: (controller) => controller.close() })
  stream.getReader()
  return stream
}

// Whatever else the standard has, now or in a later Node, the real one answers.
for (const [name, own] of Object.entries(Object.getOwnPropertyDescriptors(NativeRequest.prototype))) {
  if (name in IncomingRequest.prototype) continue
  if (own.get !== undefined) {
    Object.defineProperty(IncomingRequest.prototype, name, { ...own, get() { return IncomingRequest.real(this)[name] } })
  } else if (typeof own.value === 'function') {
    Object.defineProperty(IncomingRequest.prototype, name, { ...own, value(...args) { return IncomingRequest.real(this)[name](...args) } })
  }
}
Object.setPrototypeOf(IncomingRequest.prototype, NativeRequest.prototype)

// Handlers pass requests on: new Request(request), fetch(request). undici
// recognises only its own objects, so these two names are taught ours.
class Request extends NativeRequest {
  constructor(input, init) {
    super(IncomingRequest.real(input), init)
  }

  static [Symbol.hasInstance](value) {
    return Function.prototype[Symbol.hasInstance].call(this === Request ? NativeRequest : this, value)
  }
}

export function install() {
  const define = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false })
  define('Request', Request)
  define('fetch', function fetch(input, init) {
    return nativeFetch(IncomingRequest.real(input), init)
  })
}
