// Package graph is the meaning of a manifest for one stage and one provider:
// variables resolved, overlays merged, defaults filled in once, everything
// sorted by name, and the place of every setting kept. It knows no YAML, no
// Pulumi and no cloud, and imports the standard library and manifest/diag only.
package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// A Graph is one service as it shall be deployed to one stage of one provider.
// Slices are sorted by Name unless said otherwise; a Graph is never changed
// after it was built.
type Graph struct {
	Service  string
	Stage    string
	Provider string
	Region   string // "" when the provider has none
	Dir      string // absolute folder of the manifest; relative paths start here
	File     string // the manifest as the user named it, for messages

	Backend  string            // "" means the default folder beside the manifest
	Tags     map[string]string // never nil
	Settings map[string]string // providers.<provider>, e.g. "profile", "endpoint", "port"; never nil

	Functions []Function
	HTTP      HTTP
	Queues    []Queue
	Topics    []Topic
	Buckets   []Bucket
	Tables    []Table
	Streams   []Stream

	Used     []Setting // every setting the manifest wrote, in file order
	Accept   []string  // diagnostic codes accepted for the whole service
	Position Positions // of top-level keys: "service", "provider", "tags", …
}

// Positions are the places of settings, by path below the thing that holds
// them: "memory", "concurrency.max", "triggers[2].queue.batch". The empty path
// is the thing itself.
type Positions map[string]diag.Pos

// At returns the place of path, or of its nearest parent that has one.
func (p Positions) At(path string) diag.Pos {
	for {
		if pos, ok := p[path]; ok {
			return pos
		}
		if path == "" {
			return diag.Pos{}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// A Setting is one key that the manifest wrote and that took effect, named by
// its schema path with names replaced by "*" and list indices by "[]", e.g.
// "functions.*.triggers[].queue.batch" or "resources.queues.*.visibility".
type Setting struct {
	Path     string
	Pos      diag.Pos
	Function string   // name of the function it belongs to, or ""
	Accept   []string // codes accepted where it stands, service level included
}

// HasDefault values for a function, filled in by the manifest when unset.
const (
	DefaultMemoryMB = 256
	DefaultTimeout  = 10 * time.Second
)

// A Function is one deployable function.
type Function struct {
	Name         string
	Runtime      Runtime
	HTTPHandler  string // "src/api.handler"; "" when no http trigger
	EventHandler string // "" when no event trigger; may equal HTTPHandler
	Description  string

	MemoryMB     int // MiB
	Timeout      time.Duration
	Architecture string // "x86_64" or "arm64"; "" means the provider's choice
	EphemeralMB  int    // 0 means the provider's default

	MaxConcurrency int // at most so many executions at once; 0 means no limit asked
	Warm           int // executions kept ready
	PerInstance    int // executions sharing one instance; 0 means the provider's default

	Env        map[string]Text // never nil
	Secrets    []string        // sorted names
	Uses       []Use           // as written
	Retries    Retries
	DeadLetter string // queue name or ""
	Logs       Logs
	Tracing    bool
	Network    Network
	Package    Package
	Native     bool

	Triggers []Trigger // in file order
	Command  []string  // runtime custom: the program to run
	Image    string    // runtime custom: a container image

	Accept   []string
	Position Positions
}

// A Runtime is a language and its version: {"node","22"}, {"python","3.12"},
// {"go",""}, {"custom",""}.
type Runtime struct {
	Language string
	Version  string
}

// String returns the runtime as the manifest writes it.
func (r Runtime) String() string { return r.Language + r.Version }

// A Use is a right to a resource and the wish for its connection variables.
type Use struct {
	Kind   ResourceKind
	Name   string
	Access []Access // sorted, never empty
	Pos    diag.Pos
}

// ResourceKind names a family of resources.
type ResourceKind string

// The kinds of resources a function can use.
const (
	QueueKind  ResourceKind = "queue"
	TopicKind  ResourceKind = "topic"
	BucketKind ResourceKind = "bucket"
	TableKind  ResourceKind = "table"
	StreamKind ResourceKind = "stream"
)

// Access is one right: read, write, send, receive, publish or delete.
type Access string

// Retries of asynchronous triggers. Set says that the manifest asked.
type Retries struct {
	Set      bool
	Attempts int
	MaxAge   time.Duration // 0 means the provider's default
}

// Logs of a function.
type Logs struct {
	Retention time.Duration // 0 means for ever
	Level     string        // debug, info, warn, error; "" means info
}

// Network places a function inside a private network.
type Network struct {
	Subnets        []string
	SecurityGroups []string
}

// Package says which files besides the handler's own go along.
type Package struct {
	Include  []string
	Exclude  []string
	External []string // modules not bundled
}

// HTTP is the service's HTTP front.
type HTTP struct {
	CORS     *CORS // nil when not configured
	JWT      *JWT
	Domain   string
	Position Positions
}

// CORS rules of the front.
type CORS struct {
	Origins     []string
	Methods     []string
	Headers     []string
	Expose      []string
	Credentials bool
	MaxAge      time.Duration
}

// JWT verification. Issuer is an https URL, or for provider local also
// http://127.0.0.1… or a file path of a JWKS document.
type JWT struct {
	Issuer   string
	JWKS     string // explicit key set URL or file; "" means discovered from Issuer
	Audience []string
}

// A Trigger starts a function. Exactly one of the pointers is set.
type Trigger struct {
	Index    int // place in the manifest's list, for paths and names
	HTTP     *HTTPTrigger
	Schedule *ScheduleTrigger
	Queue    *QueueTrigger
	Topic    *TopicTrigger
	Storage  *StorageTrigger
	Stream   *StreamTrigger
	Table    *TableTrigger
	Event    *EventTrigger
	Pos      diag.Pos
}

// Kind returns "http", "schedule", "queue", "topic", "storage", "stream",
// "table" or "event".
func (t Trigger) Kind() string {
	switch {
	case t.HTTP != nil:
		return "http"
	case t.Schedule != nil:
		return "schedule"
	case t.Queue != nil:
		return "queue"
	case t.Topic != nil:
		return "topic"
	case t.Storage != nil:
		return "storage"
	case t.Stream != nil:
		return "stream"
	case t.Table != nil:
		return "table"
	case t.Event != nil:
		return "event"
	}
	panic("graph: a trigger without a kind")
}

// An HTTPTrigger is one route. Method "*" means any; Path segments are literal,
// "{name}" or, last, greedy "{name+}".
type HTTPTrigger struct {
	Method string
	Path   string
	CORS   bool
	Auth   string // "" (public) or "jwt"
}

// A ScheduleTrigger fires by cron (five fields) or at a fixed rate; one is set.
type ScheduleTrigger struct {
	Cron     string
	Every    time.Duration
	Timezone string // IANA name; "" means UTC
	Input    any    // JSON value handed over as data.input; nil when none
}

// A QueueTrigger consumes a queue.
type QueueTrigger struct {
	Name        string
	Batch       int           // at most so many messages a call; never 0
	Window      time.Duration // wait at most so long to fill a batch
	Concurrency int           // calls at once; 0 means no limit asked
}

// A TopicTrigger subscribes to a topic. A message passes the filter when, for
// every key, its attribute equals one of the values; no filter passes all.
type TopicTrigger struct {
	Name   string
	Filter map[string][]string
}

// A StorageTrigger follows a bucket.
type StorageTrigger struct {
	Bucket string
	Events []string // sorted subset of created, deleted; never empty
	Prefix string
	Suffix string
}

// A StreamTrigger consumes a stream in order per key.
type StreamTrigger struct {
	Name  string
	Batch int
	From  string // "latest" or "earliest"
}

// A TableTrigger follows the changes of a table.
type TableTrigger struct {
	Name  string
	Batch int
}

// An EventTrigger takes events of the custom event bus.
type EventTrigger struct {
	Source string // "" means any
	Type   string // "" means any
}

// A Queue holds messages until a consumer acknowledges them. External says it
// exists already; ID is then its identity on this provider.
type Queue struct {
	Name        string
	Visibility  time.Duration
	Retention   time.Duration
	MaxReceives int
	DeadLetter  string
	FIFO        bool
	Retain      bool
	External    string
	Position    Positions
}

// A Topic hands each message to every subscriber.
type Topic struct {
	Name     string
	External string
	Position Positions
}

// A Bucket stores objects.
type Bucket struct {
	Name      string
	Versioned bool
	Retain    bool
	External  string
	Position  Positions
}

// A Table stores items by key.
type Table struct {
	Name     string
	Key      Attribute
	Sort     Attribute // Name "" when none
	Stream   bool
	Retain   bool
	External string
	Position Positions
}

// An Attribute of a table key: string, number or binary.
type Attribute struct {
	Name string
	Type string
}

// A Stream is an ordered log with partitions.
type Stream struct {
	Name      string
	Shards    int
	Retention time.Duration
	Retain    bool
	External  string
	Position  Positions
}

// Text is a string that may hold references known only at deploy time.
type Text []Part

// A Part of a Text is a literal or, when Ref is set, a reference.
type Part struct {
	Literal string
	Ref     *Ref
}

// A Ref names an attribute of something deployed: {queues jobs url}.
type Ref struct {
	Group string // queues, topics, buckets, tables, streams, functions
	Name  string
	Attr  string // url, name, id, arn …; see Attributes
	Pos   diag.Pos
}

// String shows r as the manifest would write it.
func (r *Ref) String() string { return "${" + r.Group + "." + r.Name + "." + r.Attr + "}" }

// Attributes are the attributes each group of references has.
var Attributes = map[string][]string{
	"functions": {"name", "url", "id"},
	"queues":    {"name", "url", "id"},
	"topics":    {"name", "url", "id"},
	"buckets":   {"name", "url", "id"},
	"tables":    {"name", "url", "id"},
	"streams":   {"name", "url", "id"},
}

// Literal returns t as plain text and true when it holds no reference.
func (t Text) Literal() (string, bool) {
	var b strings.Builder
	for _, p := range t {
		if p.Ref != nil {
			return "", false
		}
		b.WriteString(p.Literal)
	}
	return b.String(), true
}

// String shows t as the manifest would write it.
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t {
		if p.Ref == nil {
			b.WriteString(p.Literal)
			continue
		}
		b.WriteString(p.Ref.String())
	}
	return b.String()
}

// Function returns the function of that name, or nil.
func (g *Graph) Function(name string) *Function {
	i, ok := slices.BinarySearchFunc(g.Functions, name, func(f Function, n string) int { return cmp.Compare(f.Name, n) })
	if !ok {
		return nil
	}
	return &g.Functions[i]
}

// Accepts reports whether code is accepted for s.
func (s Setting) Accepts(code string) bool { return slices.Contains(s.Accept, code) }
