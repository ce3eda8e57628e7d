// Types of the portable handler contract. Nothing here exists at run time: import
// it with "import type { Context } from 'anyfaas'".

declare module 'anyfaas' {
  /** What is known about one call. */
  export interface Context {
    /** Where the function runs: "local", "aws", "azure", "gcp" or "oci". */
    readonly provider: string
    readonly functionName: string
    /** Unique per call; also in every log line. */
    readonly requestId: string
    /** Route parameters of http triggers, percent-decoded. */
    readonly params: Readonly<Record<string, string>>
    readonly clientIp: string | null
    readonly traceparent: string | null
    /** When the call is given up; null when there is no limit. */
    readonly deadline: Date | null
    /** Milliseconds until the deadline; Infinity when there is none. */
    remainingMs(): number
    /** Aborted shortly before the deadline, and when the client goes away. */
    readonly signal: AbortSignal
    /** JSON lines on standard output, filtered by the level in the manifest. */
    readonly log: Log
    /** Keeps the call open for work that the answer does not depend on. */
    waitUntil(promise: Promise<unknown>): void
  }

  export interface Log {
    debug(message: string, fields?: Record<string, unknown>): void
    info(message: string, fields?: Record<string, unknown>): void
    warn(message: string, fields?: Record<string, unknown>): void
    error(message: string, fields?: Record<string, unknown>): void
  }

  /** Handles http triggers. */
  export type HttpHandler = (request: Request, ctx: Context) => Response | Promise<Response>

  /**
   * Handles every other trigger, one event a call. Returning acknowledges,
   * throwing has the event delivered again. The result goes to the caller of a
   * direct call.
   */
  export type EventHandler<Data = unknown> = (event: CloudEvent<Data>, ctx: Context) => unknown

  /** Handles a delivery at once; ids under failures are delivered again. */
  export type BatchHandler<Data = unknown> = (
    events: CloudEvent<Data>[],
    ctx: Context,
  ) => void | { failures: string[] } | Promise<void | { failures: string[] }>

  /** One export for functions with both kinds of trigger; a Hono app is one too. */
  export interface Handlers<Data = unknown> {
    fetch?: HttpHandler
    event?: EventHandler<Data>
    batch?: BatchHandler<Data>
  }

  /** A CloudEvent 1.0 in its JSON form. */
  export interface CloudEvent<Data = unknown> {
    specversion: '1.0'
    /** "dev.anyfaas.queue.message.v1" and so on. */
    type: string
    /** The logical source: "/queues/jobs". */
    source: string
    /** Unique with source, the same on every delivery. */
    id: string
    /** RFC 3339, UTC. */
    time: string
    subject?: string
    datacontenttype: 'application/json'
    /** How often the event was delivered, from 1. */
    deliverycount?: number
    sequence?: string
    partitionkey?: string
    traceparent?: string
    data: Data
  }

  /** dev.anyfaas.queue.message.v1, dev.anyfaas.topic.message.v1 */
  export interface Message<Body = unknown> {
    /** Parsed when the text is a JSON object or array, the text otherwise. */
    body?: Body
    /** Instead of body when the message is not UTF-8. */
    bodyBase64?: string
    attributes: Record<string, string>
    title?: string
  }

  /** dev.anyfaas.stream.record.v1 */
  export interface StreamRecord<Body = unknown> {
    body?: Body
    bodyBase64?: string
  }

  /** dev.anyfaas.object.created.v1, dev.anyfaas.object.deleted.v1 */
  export interface StoredObject {
    bucket: string
    key: string
    size?: number
    etag?: string
    version?: string
  }

  /** dev.anyfaas.schedule.tick.v1 */
  export interface Tick<Input = unknown> {
    scheduledTime?: string
    pastDue?: boolean
    input?: Input
  }

  /** dev.anyfaas.db.change.v1 */
  export interface Change<Item = Record<string, unknown>> {
    operation: 'insert' | 'update' | 'delete' | 'upsert'
    keys: Record<string, unknown>
    new?: Item
    old?: Item
  }

  /** dev.anyfaas.bus.event.v1 */
  export interface BusEvent<Detail = unknown> {
    source: string
    name: string
    detail: Detail
  }
}
