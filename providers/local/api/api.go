// Package api is the wire contract between anyfaas commands and the local host
// process: resource specifications, the admin calls, the data-plane URLs and the
// worker protocol. It holds types and constants only and knows neither Pulumi
// nor how anything is done.
//
// # Admin API
//
// HTTP with JSON bodies over the unix socket <home>/local/admin.sock (mode 0600
// inside a 0700 folder). Errors are {"error": "...", "code": "..."} with a 4xx
// or 5xx status.
//
//	GET    /v1/status                                → Status
//	POST   /v1/stop                                  → 204; the host stops its workers, then exits
//	GET    /v1/stacks/{stack}                        → StackState
//	DELETE /v1/stacks/{stack}                        → 204; removes all its resources and data
//	PUT    /v1/stacks/{stack}/{kind}/{name}          Spec of the kind → Outputs (idempotent)
//	GET    /v1/stacks/{stack}/{kind}/{name}          → ResourceState, 404 when gone
//	DELETE /v1/stacks/{stack}/{kind}/{name}          → 204, also when gone
//	HEAD   /v1/artifacts/{sha256}                    → 200 or 404
//	PUT    /v1/artifacts/{sha256}                    zip bytes → 204; verified against the hash
//	POST   /v1/stacks/{stack}/functions/{name}/invoke   InvokeRequest → InvokeReply
//	GET    /v1/stacks/{stack}/functions/{name}/logs?since=RFC3339Nano&follow=true
//	                                                 → application/x-ndjson of log lines
//
// A stack is "<service>-<stage>". The host starts listening before any resource
// exists and exits by itself once its last stack is gone.
//
// # Worker protocol
//
// A worker is one long-lived process that serves one function on the listener
// named by ANYFAAS_LISTENER ("unix:/path.sock" or "127.0.0.1:port"). Its stdin
// is a pipe that stays open as long as the host lives: a worker exits when it
// reads end of file there. SIGTERM asks it to finish and exit.
//
// HTTP triggers arrive as the client sent them, plus the Anyfaas-* headers
// below, which the adapter takes off before the handler sees the request; the
// host removes such headers sent by clients. Events arrive as
// "POST /" with Anyfaas-Kind: event and a body of
// application/cloudevents-batch+json; the answer is 200 {"failures":[]} or 500
// {"failures":["id", …]}. Direct calls arrive with Anyfaas-Kind: invoke and one
// application/cloudevents+json of type dev.anyfaas.invoke.v1; the answer is 200
// with the JSON of what the handler returned, or 500 {"message": "..."}.
package api

import (
	"encoding/json"
	"time"
)

// Names of the worker protocol.
const (
	ListenerEnv = "ANYFAAS_LISTENER"

	HeaderRequestID = "Anyfaas-Request-Id"
	HeaderDeadline  = "Anyfaas-Deadline-Ms" // epoch milliseconds
	HeaderParams    = "Anyfaas-Params"      // JSON object of route parameters, percent-decoded
	HeaderKind      = "Anyfaas-Kind"        // absent for http, "event" or "invoke"
	HeaderOrdered   = "Anyfaas-Ordered"     // "true": stop at the first failure
	HeaderClientIP  = "Anyfaas-Client-Ip"

	TypePrefix = "dev.anyfaas." // of CloudEvents types
)

// Kind is a family of resources of the host.
type Kind string

// The kinds, in the order in which a restart brings them back.
const (
	KindService       Kind = "services"       // ServiceSpec; one per stack, named like the service
	KindQueue         Kind = "queues"         // QueueSpec
	KindTopic         Kind = "topics"         // TopicSpec
	KindStream        Kind = "streams"        // StreamSpec
	KindTable         Kind = "tables"         // TableSpec
	KindBucket        Kind = "buckets"        // BucketSpec
	KindFunction      Kind = "functions"      // FunctionSpec
	KindRoute         Kind = "routes"         // RouteSpec
	KindSchedule      Kind = "schedules"      // ScheduleSpec
	KindQueueConsumer Kind = "queueConsumers" // QueueConsumerSpec
	KindSubscription  Kind = "subscriptions"  // SubscriptionSpec (topic → function)
	KindNotification  Kind = "notifications"  // NotificationSpec (bucket → function)
	KindStreamReader  Kind = "streamReaders"  // StreamReaderSpec
	KindTableReader   Kind = "tableReaders"   // TableReaderSpec
	KindEventRule     Kind = "eventRules"     // EventRuleSpec (bus → function)
)

// Kinds lists every kind in restart order.
var Kinds = []Kind{KindService, KindQueue, KindTopic, KindStream, KindTable, KindBucket, KindFunction, KindRoute, KindSchedule, KindQueueConsumer, KindSubscription, KindNotification, KindStreamReader, KindTableReader, KindEventRule}

// Duration is a time.Duration in JSON as a Go duration string ("1m30s").
type Duration time.Duration

// MarshalJSON writes the duration as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a duration string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// ServiceSpec is the HTTP front of a stack. Its outputs are "url" (without a
// slash at the end) and "port".
type ServiceSpec struct {
	Service string `json:"service"`
	Stage   string `json:"stage"`
	Owner   string `json:"owner"` // the project folder; another owner of the same stack is refused with code "owned"
	Port    int    `json:"port"`  // 0: the host picks a free one from 8080 up and keeps it
	CORS    *CORS  `json:"cors,omitempty"`
	JWT     *JWT   `json:"jwt,omitempty"`
	Domain  string `json:"domain,omitempty"` // extra host name answered, e.g. through /etc/hosts

	Tags map[string]string `json:"tags,omitempty"` // kept for who looks; no effect
}

// CORS rules applied to routes that ask for them.
type CORS struct {
	Origins     []string `json:"origins"`
	Methods     []string `json:"methods"`
	Headers     []string `json:"headers"`
	Expose      []string `json:"expose,omitempty"`
	Credentials bool     `json:"credentials,omitempty"`
	MaxAge      Duration `json:"maxAge"`
}

// JWT verification of routes that ask for it.
type JWT struct {
	Issuer   string   `json:"issuer"`
	JWKS     string   `json:"jwks,omitempty"` // URL or absolute file; "" means <issuer>/.well-known/openid-configuration
	Audience []string `json:"audience,omitempty"`
}

// FunctionSpec is a function. Outputs: "id".
type FunctionSpec struct {
	Artifact       string            `json:"artifact"` // sha256 of an uploaded zip
	Command        []string          `json:"command"`  // run inside the unpacked zip
	Runtime        string            `json:"runtime"`
	Description    string            `json:"description,omitempty"` // kept for who looks; no effect
	MemoryMB       int               `json:"memoryMB"`
	EphemeralMB    int               `json:"ephemeralMB,omitempty"`
	Timeout        Duration          `json:"timeout"`
	MaxConcurrency int               `json:"maxConcurrency,omitempty"` // 0: no limit
	Warm           int               `json:"warm,omitempty"`
	PerInstance    int               `json:"perInstance"` // at least 1
	Env            map[string]string `json:"env"`
	Secrets        map[string]string `json:"secrets,omitempty"`    // more environment; never shown by GET, names only
	Retries        Retries           `json:"retries"`              // of asynchronous events without a queue of their own
	DeadLetter     string            `json:"deadLetter,omitempty"` // queue in the same stack
	LogLevel       string            `json:"logLevel,omitempty"`
	LogRetention   Duration          `json:"logRetention,omitempty"`
	Tracing        bool              `json:"tracing,omitempty"`
}

// Retries of asynchronous events: attempts after the first, and the age after
// which an event is given up (0: no limit).
type Retries struct {
	Attempts int      `json:"attempts"`
	MaxAge   Duration `json:"maxAge,omitempty"`
}

// RouteSpec is one route. Outputs: "url".
type RouteSpec struct {
	Function string `json:"function"`
	Method   string `json:"method"` // upper case, "*" for any
	Path     string `json:"path"`   // "/orders/{id}", greedy "/files/{path+}"
	CORS     bool   `json:"cors,omitempty"`
	Auth     string `json:"auth,omitempty"` // "" or "jwt"
}

// ScheduleSpec fires a function. Exactly one of Cron and Every is set.
type ScheduleSpec struct {
	Function string          `json:"function"`
	Cron     string          `json:"cron,omitempty"`
	Every    Duration        `json:"every,omitempty"`
	Timezone string          `json:"timezone,omitempty"` // "" is UTC
	Input    json.RawMessage `json:"input,omitempty"`
}

// QueueSpec is a queue. Outputs: "url", "name", "id".
type QueueSpec struct {
	Visibility  Duration `json:"visibility"`
	Retention   Duration `json:"retention"`
	MaxReceives int      `json:"maxReceives"`
	DeadLetter  string   `json:"deadLetter,omitempty"`
	FIFO        bool     `json:"fifo,omitempty"`
	Retain      bool     `json:"retain,omitempty"` // data kept when deleted
}

// QueueConsumerSpec feeds a queue to a function.
type QueueConsumerSpec struct {
	Function    string   `json:"function"`
	Queue       string   `json:"queue"`
	Batch       int      `json:"batch"`
	Window      Duration `json:"window,omitempty"`
	Concurrency int      `json:"concurrency,omitempty"`
}

// TopicSpec is a topic. Outputs: "url", "name", "id".
type TopicSpec struct{}

// SubscriptionSpec feeds a topic to a function.
type SubscriptionSpec struct {
	Function string              `json:"function"`
	Topic    string              `json:"topic"`
	Filter   map[string][]string `json:"filter,omitempty"`
}

// BucketSpec is a bucket. Outputs: "url" (S3 path style, objects lie below it),
// "name" (physical), "endpoint" (of the S3 API), "id".
type BucketSpec struct {
	Versioned bool `json:"versioned,omitempty"`
	Retain    bool `json:"retain,omitempty"`
}

// NotificationSpec feeds a bucket's events to a function.
type NotificationSpec struct {
	Function string   `json:"function"`
	Bucket   string   `json:"bucket"`
	Events   []string `json:"events"` // created, deleted
	Prefix   string   `json:"prefix,omitempty"`
	Suffix   string   `json:"suffix,omitempty"`
}

// StreamSpec is an ordered log. Outputs: "url", "name", "id".
type StreamSpec struct {
	Shards    int      `json:"shards"`
	Retention Duration `json:"retention"`
	Retain    bool     `json:"retain,omitempty"`
}

// StreamReaderSpec feeds a stream to a function, in order per partition key.
type StreamReaderSpec struct {
	Function string `json:"function"`
	Stream   string `json:"stream"`
	Batch    int    `json:"batch"`
	From     string `json:"from"` // latest or earliest
}

// TableSpec is a table. Outputs: "url", "name", "id".
type TableSpec struct {
	Key    Attribute `json:"key"`
	Sort   Attribute `json:"sort,omitzero"`
	Stream bool      `json:"stream,omitempty"`
	Retain bool      `json:"retain,omitempty"`
}

// Attribute of a table key; Type is string, number or binary.
type Attribute struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// TableReaderSpec feeds a table's changes to a function.
type TableReaderSpec struct {
	Function string `json:"function"`
	Table    string `json:"table"`
	Batch    int    `json:"batch"`
}

// EventRuleSpec feeds matching bus events to a function.
type EventRuleSpec struct {
	Function string `json:"function"`
	Source   string `json:"source,omitempty"`
	Type     string `json:"type,omitempty"`
}

// Outputs of a PUT: strings and numbers by name.
type Outputs map[string]any

// ResourceState is a resource as the host holds it.
type ResourceState struct {
	Kind    Kind            `json:"kind"`
	Name    string          `json:"name"`
	Spec    json.RawMessage `json:"spec"`
	Outputs Outputs         `json:"outputs"`
	Down    bool            `json:"down,omitempty"` // could not be brought back so far, for example because its port is taken
}

// StackState lists a stack's resources, sorted by kind order and name.
type StackState struct {
	Stack     string          `json:"stack"`
	URL       string          `json:"url"`
	Owner     string          `json:"owner"`
	Resources []ResourceState `json:"resources"`
}

// Status of the host.
type Status struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`

	// Supervisor is the process that starts the host again when it dies; 0
	// when there is none.
	Supervisor int `json:"supervisor,omitempty"`

	Started time.Time     `json:"started"`
	Home    string        `json:"home"`
	Data    string        `json:"data"` // base URL of queues, topics, streams, tables and the bus
	S3      string        `json:"s3"`   // endpoint of the S3 API
	Stacks  []StackStatus `json:"stacks"`
}

// StackStatus is one stack in a Status.
type StackStatus struct {
	Stack     string           `json:"stack"`
	URL       string           `json:"url"`
	Functions []FunctionStatus `json:"functions"`
	Queues    []QueueStatus    `json:"queues"`
}

// FunctionStatus counts a function's workers.
type FunctionStatus struct {
	Name     string `json:"name"`
	Workers  int    `json:"workers"`
	Busy     int    `json:"busy"` // executions right now
	PIDs     []int  `json:"pids"`
	MemoryMB int    `json:"memoryMB"` // resident, all workers
	Calls    int64  `json:"calls"`    // since the host started
	Errors   int64  `json:"errors"`
}

// QueueStatus counts a queue's messages.
type QueueStatus struct {
	Name     string `json:"name"`
	Ready    int    `json:"ready"`
	InFlight int    `json:"inFlight"`
}

// InvokeRequest calls a function directly. Trigger is "" for the plain value,
// or a trigger kind whose event is built around Data; for "http" Data is
// {"method","path","headers","body"}.
type InvokeRequest struct {
	Trigger string          `json:"trigger,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// InvokeReply is the outcome.
type InvokeReply struct {
	RequestID string            `json:"requestId"`
	Status    int               `json:"status"` // of the call: 200, 500, 504, 429
	Duration  Duration          `json:"duration"`
	Cold      bool              `json:"cold"`
	Headers   map[string]string `json:"headers,omitempty"`
	Body      []byte            `json:"body"` // base64 in JSON
	Logs      []LogLine         `json:"logs,omitempty"`
}

// LogLine is one line of a function's log.
type LogLine struct {
	Time      time.Time `json:"time"`
	Function  string    `json:"function"`
	Kind      string    `json:"kind"` // "out", "err", "request" (one at the end of each call)
	RequestID string    `json:"requestId,omitempty"`
	Level     string    `json:"level,omitempty"`
	Text      string    `json:"text"`
	Duration  Duration  `json:"duration,omitempty"`
	Cold      bool      `json:"cold,omitempty"`
	Status    int       `json:"status,omitempty"`
}

// CloudEvent is the JSON form of CloudEvents 1.0 with our extensions.
type CloudEvent struct {
	SpecVersion     string          `json:"specversion"` // "1.0"
	Type            string          `json:"type"`        // TypePrefix + "queue.message.v1" …
	Source          string          `json:"source"`      // "/queues/jobs"
	ID              string          `json:"id"`
	Time            string          `json:"time"` // RFC 3339, UTC
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype"` // "application/json"
	DeliveryCount   int             `json:"deliverycount,omitempty"`
	Sequence        string          `json:"sequence,omitempty"`
	PartitionKey    string          `json:"partitionkey,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            json.RawMessage `json:"data"`
}
