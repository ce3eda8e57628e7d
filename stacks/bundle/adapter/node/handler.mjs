// What a user's export may be, made into the calls the servers need.

const shape = (value) => (value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value === 'object' ? `an object with ${Object.keys(value).join(', ') || 'no properties'}` : typeof value)

function method(value, name) {
  return typeof value?.[name] === 'function' ? value[name].bind(value) : undefined
}

// CommonJS modules arrive with their exports under "default" when they were
// imported whole.
function unwrap(value) {
  if (value !== null && typeof value === 'object' && value.__esModule && 'default' in value) return value.default
  return value
}

// http returns a function (request, ctx) from a function or an object with fetch.
export function http(value, name) {
  value = unwrap(value)
  const found = typeof value === 'function' ? value : method(value, 'fetch')
  if (typeof value === 'function' && (value.length > 2 || (typeof value.handle === 'function' && typeof value.listen === 'function'))) {
    throw new TypeError(`the http handler ${name} takes Node's (req, res), as Express does, and is called with a web-standard Request: export a function (request, ctx) that returns a Response, or an app with fetch, such as Hono's`)
  }
  if (found === undefined) throw new TypeError(`the http handler ${name} must be a function or an object with fetch, not ${shape(value)}`)
  return found
}

// event returns {event} or {batch} from a function or an object with one of them.
export function event(value, name) {
  value = unwrap(value)
  const batch = method(value, 'batch')
  if (batch !== undefined) return { batch }
  const single = typeof value === 'function' ? value : method(value, 'event')
  if (single === undefined) throw new TypeError(`the event handler ${name} must be a function or an object with event or batch, not ${shape(value)}`)
  return { event: single }
}

// both refuses one plain function for two kinds of trigger: it could not tell
// a request from an event.
export function both(value, name) {
  if (typeof unwrap(value) === 'function') {
    throw new TypeError(`${name} has http and event triggers: export an object with fetch and event, or name a handler for each in the manifest`)
  }
}
