/**
 * Types of anyfaas handlers, for your editor and the TypeScript compiler. They
 * are never loaded at run time: import them with `import type`.
 */
declare module "anyfaas" {
  /** What an HTTP trigger calls. Request and Response are the web standard ones. */
  export type HttpHandler = (request: Request, ctx: Context) => Response | Promise<Response>;

  /**
   * What every other trigger calls, once for each event. Returning acknowledges
   * the event; throwing has it delivered again, later into the dead-letter
   * queue. An event may arrive twice: make handlers idempotent on `event.id`.
   */
  export type EventHandler<E = CloudEvent> = (event: E, ctx: Context) => unknown;

  /** The circumstances of one call. */
  export interface Context {
    readonly provider: string;
    readonly functionName: string;
    readonly requestId: string;
    /** Route parameters: `GET /orders/{id}` gives `params.id`, percent-decoded. */
    readonly params: Record<string, string>;
    readonly clientIp: string | null;
    readonly traceparent: string | null;
    /** When the call is cut off; null where the provider does not say. */
    readonly deadline: Date | null;
    remainingMs(): number;
    /** Fires a little before the deadline; hand it to `fetch`. */
    readonly signal: AbortSignal;
    readonly log: Logger;
    /** Work that may go on after the answer was made; it is awaited before the call ends. */
    waitUntil(work: Promise<unknown>): void;
  }

  /** Writes one JSON line with the request id. */
  export interface Logger {
    debug(message: string, fields?: Record<string, unknown>): void;
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
    error(message: string, fields?: Record<string, unknown>): void;
  }

  /** A CloudEvent 1.0 in its JSON form. */
  export interface CloudEvent<Type extends string = string, Data = unknown> {
    readonly specversion: "1.0";
    readonly type: Type;
    /** The resource as the manifest names it: "/queues/jobs". */
    readonly source: string;
    readonly id: string;
    readonly time: string;
    readonly subject?: string;
    readonly datacontenttype: "application/json";
    /** How often this event was delivered, this time included. */
    readonly deliverycount?: number;
    readonly sequence?: string;
    readonly partitionkey?: string;
    readonly traceparent?: string;
    readonly data: Data;
  }

  /**
   * A message. The body is the parsed value when the text is a JSON object or
   * array, otherwise the text; bytes that are not UTF-8 are in `bodyBase64`.
   */
  export interface Message<Body = unknown> {
    readonly body: Body;
    readonly bodyBase64?: string;
    readonly attributes?: Record<string, string>;
  }

  export type QueueEvent<Body = unknown> = CloudEvent<"dev.anyfaas.queue.message.v1", Message<Body>>;
  export type TopicEvent<Body = unknown> = CloudEvent<"dev.anyfaas.topic.message.v1", Message<Body> & { readonly title?: string }>;
  export type StreamEvent<Body = unknown> = CloudEvent<"dev.anyfaas.stream.record.v1", Message<Body>>;

  /** An object of a bucket was written or removed. `event.subject` is its key. */
  export type StorageEvent = CloudEvent<
    "dev.anyfaas.object.created.v1" | "dev.anyfaas.object.deleted.v1",
    { readonly bucket: string; readonly key: string; readonly size?: number; readonly etag?: string; readonly version?: string }
  >;

  export type ScheduleEvent<Input = unknown> = CloudEvent<
    "dev.anyfaas.schedule.tick.v1",
    { readonly scheduledTime?: string; readonly pastDue?: boolean; readonly input?: Input }
  >;

  export type TableEvent<Item = Record<string, unknown>> = CloudEvent<
    "dev.anyfaas.db.change.v1",
    {
      readonly operation: "insert" | "update" | "delete" | "upsert";
      readonly keys: Record<string, unknown>;
      readonly new?: Item;
      readonly old?: Item;
    }
  >;

  export type BusEvent<Detail = unknown> = CloudEvent<
    "dev.anyfaas.bus.event.v1",
    { readonly source: string; readonly name: string; readonly detail: Detail }
  >;
}
