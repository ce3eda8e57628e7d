// The context that every handler gets as its second argument. Everything costly
// in it (logger, signal, parameters) is made when it is first asked for.

const levels = { debug: 10, info: 20, warn: 30, error: 40 }
const threshold = levels[process.env.ANYFAAS_LOG_LEVEL] ?? levels.info
const functionName = process.env.ANYFAAS_FUNCTION ?? ''
const provider = process.env.ANYFAAS_PROVIDER ?? 'local'

// The signal fires this long before the deadline, so that a handler can still answer.
const graceMs = 250

const reserved = new Set(['time', 'level', 'msg', 'requestId', 'fn'])

export function logLine(level, msg, requestId, fields) {
  if (levels[level] < threshold) return
  const line = { time: new Date().toISOString(), level, msg: typeof msg === 'string' ? msg : describe(msg), requestId, fn: functionName }
  if (fields !== null && typeof fields === 'object') {
    for (const key of Object.keys(fields)) if (!reserved.has(key)) line[key] = fields[key]
  }
  process.stdout.write(toJSON(line) + '\n')
}

// describe returns an error's stack, with its causes, or the value as text.
export function describe(value) {
  if (!(value instanceof Error)) return typeof value === 'string' ? value : toJSON(value) ?? String(value)
  let text = value.stack ?? String(value)
  for (let cause = value.cause, depth = 0; cause != null && depth < 5; cause = cause.cause, depth++) {
    text += '\ncaused by: ' + (cause instanceof Error ? cause.stack : String(cause))
  }
  return text
}

// toJSON never throws: errors become their stacks, big integers text, and what
// refers to itself "[circular]".
function toJSON(value) {
  const parents = []
  return JSON.stringify(value, function (_key, v) {
    if (typeof v === 'bigint') return String(v)
    if (v instanceof Error) return describe(v)
    if (v === null || typeof v !== 'object') return v
    while (parents.length > 0 && parents.at(-1) !== this) parents.pop()
    if (parents.includes(v)) return '[circular]'
    parents.push(v)
    return v
  })
}

// utf8 undoes that Node reads header bytes as Latin-1.
const utf8 = (value) => Buffer.from(value, 'latin1').toString('utf8')

export class Context {
  requestId
  clientIp
  traceparent
  #deadline
  #rawParams
  #params
  #log
  #controller
  #timer
  #pending

  // deadline is in epoch milliseconds, 0 when there is none; params is JSON text.
  constructor(requestId, deadline, params, clientIp, traceparent) {
    this.requestId = requestId
    this.clientIp = clientIp
    this.traceparent = traceparent
    this.#deadline = deadline
    this.#rawParams = params
  }

  get provider() {
    return provider
  }

  get functionName() {
    return functionName
  }

  get params() {
    return (this.#params ??= this.#rawParams === undefined ? {} : JSON.parse(utf8(this.#rawParams)))
  }

  get deadline() {
    return this.#deadline === 0 ? null : new Date(this.#deadline)
  }

  get log() {
    const id = this.requestId
    return (this.#log ??= {
      debug: (msg, fields) => logLine('debug', msg, id, fields),
      info: (msg, fields) => logLine('info', msg, id, fields),
      warn: (msg, fields) => logLine('warn', msg, id, fields),
      error: (msg, fields) => logLine('error', msg, id, fields),
    })
  }

  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#deadline !== 0) {
        const wait = Math.max(0, this.#deadline - Date.now() - graceMs)
        this.#timer = setTimeout(() => this.#controller.abort(new DOMException('the deadline is near', 'TimeoutError')), wait)
        this.#timer.unref()
      }
    }
    return this.#controller.signal
  }

  remainingMs() {
    return this.#deadline === 0 ? Infinity : Math.max(0, this.#deadline - Date.now())
  }

  // waitUntil keeps the call open for work that the answer does not need. Its
  // failure is logged and changes nothing else.
  waitUntil(promise) {
    const logged = Promise.resolve(promise).catch((error) => this.log.error('waitUntil failed', { error: describe(error) }))
    ;(this.#pending ??= []).push(logged)
  }

  // settle resolves once everything given to waitUntil is done, also what that
  // work added meanwhile. It returns undefined when there is nothing to wait for.
  static settle(ctx) {
    if (ctx.#timer !== undefined) clearTimeout(ctx.#timer)
    if (ctx.#pending === undefined) return undefined
    return (async () => {
      for (let n = 0; n < ctx.#pending.length; n++) await ctx.#pending[n]
    })()
  }

  // cancel tells the handler that nobody waits for its answer any more.
  static cancel(ctx) {
    ctx.#controller?.abort(new DOMException('the client went away', 'AbortError'))
  }
}
