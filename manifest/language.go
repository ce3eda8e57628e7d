package manifest

import "slices"

// APIVersion is what a manifest of this version starts with.
const APIVersion = "anyfaas/v1"

// Providers that a manifest can name.
var Providers = []string{"aws", "azure", "gcp", "oci", "local"}

// Runtimes that a function can have.
var Runtimes = []string{
	"node20", "node22", "node24",
	"python3.11", "python3.12", "python3.13", "python3.14",
	"go", "java21", "dotnet8", "ruby3.4", "custom",
}

// Methods of HTTP routes; * takes any.
var Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"}

// language is the one description of the manifest: the shape checks, the JSON
// Schema, the list of settings and the graph's notes of what was used all come
// from it.
var language = func() *shape {
	stage := overlay("An overlay for one stage, merged over everything else: mappings merge, lists and scalars replace.", serviceKeys()...)
	keys := []key{
		{name: "apiVersion", required: true, doc: "The version of this language.", shape: literal(APIVersion)},
		{name: "service", required: true, doc: "The name of the service: a-z, 0-9 and -, 2 to 40 characters, starting with a letter.", shape: text(servicePattern)},
		{name: "stage", doc: "The stage when --stage names none.", standard: "dev", shape: text(namePattern)},
	}
	keys = append(keys, serviceKeys()...)
	keys = append(keys, key{name: "stages", doc: "Overlays by stage.", shape: dict(namePattern, stage)})
	return object("manifest", "One service: its functions, what triggers them and what they use.", keys...)
}()

// serviceKeys are the keys of a manifest that a stage can overlay.
func serviceKeys() []key {
	return []key{
		{name: "provider", doc: "Where the service runs; --provider overrides it.", standard: "local", shape: choice(Providers...)},
		{name: "providers", doc: "Settings of each provider; only those of the one in use take effect.", shape: providerShape},
		{name: "backend", doc: "Where the state lives: a file, s3, gs, azblob or https URL. Not set: a folder beside the manifest.", shape: text(nil)},
		{name: "tags", doc: "Tags on everything that can have them.", shape: dict(tagPattern, scalar())},
		{name: "accept", doc: "Codes of differences between providers that are accepted in the whole service.", shape: list(text(codePattern))},
		{name: "defaults", doc: "Settings of every function, overridden by the function: mappings merge, lists and scalars replace.", shape: defaultsShape},
		{name: "functions", doc: "Functions by name: a-z, 0-9 and -, at most 40 characters, starting with a letter.", shape: dict(namePattern, functionShape)},
		{name: "http", doc: "The service's HTTP front.", shape: httpShape},
		{name: "resources", doc: "What functions are triggered by and use.", shape: resourcesShape},
	}
}

var providerShape = object("providers", "Settings of each provider.",
	key{name: "aws", shape: object("aws", "Settings of Amazon Web Services.",
		key{name: "region", doc: "Region such as eu-west-1.", shape: text(nil)},
		key{name: "profile", doc: "Profile of the shared configuration and credentials files.", shape: text(nil)},
		key{name: "endpoint", doc: "URL of an emulator that answers instead of AWS.", shape: text(nil)})},
	key{name: "azure", shape: object("azure", "Settings of Microsoft Azure.",
		key{name: "location", doc: "Location such as westeurope.", shape: text(nil)},
		key{name: "subscription", doc: "Subscription id.", shape: text(nil)},
		key{name: "plan", doc: "Hosting plan.", standard: "flex", shape: choice("flex", "consumption", "premium")})},
	key{name: "gcp", shape: object("gcp", "Settings of Google Cloud.",
		key{name: "project", doc: "Project id.", shape: text(nil)},
		key{name: "region", doc: "Region such as europe-west1.", shape: text(nil)})},
	key{name: "oci", shape: object("oci", "Settings of Oracle Cloud Infrastructure.",
		key{name: "region", doc: "Region such as eu-frankfurt-1.", shape: text(nil)},
		key{name: "compartment", doc: "Compartment OCID.", shape: text(nil)},
		key{name: "tenancyNamespace", doc: "Object Storage namespace of the tenancy.", shape: text(nil)})},
	key{name: "local", shape: object("local", "Settings of this machine.",
		key{name: "port", doc: "Port of the HTTP front on the loopback address; 0 takes a free one.", standard: "8080", shape: integer(0, 65535)})},
)

// functionKeys are the keys of a function that defaults can hold too.
var functionKeys = []key{
	{name: "runtime", doc: "Language and version.", shape: choice(Runtimes...).guessing(guessRuntime)},
	{name: "memory", doc: "Memory: MB or MiB, GB or GiB, all powers of 1024; a bare number is MB.", standard: "256MB", shape: memory()},
	{name: "timeout", doc: "How long one call may take.", standard: "10s", shape: duration()},
	{name: "architecture", doc: "Processor architecture; not set: the provider's choice.", shape: choice("x86_64", "arm64").guessing(guessArchitecture)},
	{name: "ephemeralStorage", doc: "Size of the scratch folder, as memory is written; not set: the provider's choice.", shape: memory()},
	{name: "concurrency", doc: "How many calls run at once.", shape: object("concurrency", "How many calls run at once.",
		key{name: "max", doc: "At most so many calls at once over all instances; not set: no limit asked.", shape: integer(1, 100_000)},
		key{name: "warm", doc: "Calls that can start at once, kept ready.", standard: "0", shape: integer(0, 10_000)},
		key{name: "perInstance", doc: "Calls that share one instance; not set: the provider's choice.", shape: integer(1, 1000)}).shownAs(exampleConcurrency)},
	{name: "env", doc: "Environment variables. References such as ${queues.jobs.url} may stand in the values.", shape: dict(envPattern, scalar().withRefs())},
	{name: "secrets", doc: "Names of secrets that are handed over as environment variables; set values with `anyfaas secrets set`.", shape: list(text(envPattern))},
	{name: "uses", doc: "Resources the function may use, with no more rights than listed; each also gives connection variables.", shape: list(useShape).shownAs(exampleUses)},
	{name: "retries", doc: "Retries of triggers that nobody waits for.", shape: object("retries", "Retries of triggers that nobody waits for.",
		key{name: "attempts", doc: "Further attempts after the first.", standard: "2", shape: integer(0, 100)},
		key{name: "maxAge", doc: "Events older than this are not tried again; not set: the provider's choice.", shape: duration()})},
	{name: "deadLetter", doc: "Queue that takes events whose retries are spent.", shape: text(namePattern)},
	{name: "logs", doc: "The function's log.", shape: object("logs", "The function's log.",
		key{name: "retention", doc: "How long lines are kept; not set: for ever.", shape: duration()},
		key{name: "level", doc: "Least level that is written.", standard: "info", shape: choice("debug", "info", "warn", "error")})},
	{name: "tracing", doc: "Trace calls with the provider's tracing service.", standard: "false", shape: boolean()},
	{name: "network", doc: "Private network the function runs in.", shape: object("network", "Private network the function runs in.",
		key{name: "subnets", doc: "Subnet ids.", shape: list(text(nil))},
		key{name: "securityGroups", doc: "Security group ids.", shape: list(text(nil))})},
	{name: "package", doc: "Files that go along with the handler.", shape: object("package", "Files that go along with the handler.",
		key{name: "include", doc: "Glob patterns of files to add, relative to the manifest.", shape: list(text(nil))},
		key{name: "exclude", doc: "Glob patterns of files to leave out.", shape: list(text(nil))},
		key{name: "external", doc: "Modules that are not bundled but shipped as they are.", shape: list(text(nil))})},
	{name: "native", doc: "The handler gets the cloud's own event, unadapted.", standard: "false", shape: boolean()},
	{name: "accept", doc: "Codes of differences between providers that are accepted for the function.", shape: list(text(codePattern))},
}

var defaultsShape = object("defaults", "Settings of every function.", functionKeys...)

// ownKeys are the keys that belong to one function.
var ownKeys = append([]key{
	{
		name: "handler", doc: "path.name: for Node and Python a file without its ending, for Go a package folder; then the exported name.",
		shape: object("handler", "A handler for each family of triggers.",
			key{name: "http", doc: "Handler of http triggers.", shape: text(handlerPattern)},
			key{name: "event", doc: "Handler of all other triggers.", shape: text(handlerPattern)},
		).orText(text(handlerPattern), nil),
	},
	{name: "description", doc: "What it does, for people.", shape: text(nil)},
	{name: "command", doc: "Runtime custom: the program to run and its arguments.", shape: list(text(nil))},
	{name: "image", doc: "Runtime custom: a container image.", shape: text(nil)},
	{name: "triggers", doc: "What starts the function.", shape: list(triggerShape).shownAs(exampleTriggers)},
}, functionKeys...)

var functionShape = object("function", "One function.",
	append(slices.Clone(ownKeys), key{
		name: "on", doc: "Overlays by provider.",
		shape: dict(providerPattern, overlay("An overlay of a function for one provider.", ownKeys...)),
	})...)

var useShape = object("use", "A right to one resource.",
	key{name: "queue", doc: "Queue; access: send, receive.", shape: text(namePattern)},
	key{name: "topic", doc: "Topic; access: publish.", shape: text(namePattern)},
	key{name: "bucket", doc: "Bucket; access: read, write, delete.", shape: text(namePattern)},
	key{name: "table", doc: "Table; access: read, write, delete.", shape: text(namePattern)},
	key{name: "stream", doc: "Stream; access: read, write.", shape: text(namePattern)},
	key{name: "access", required: true, doc: "Rights, one or a list.", shape: list(choice("read", "write", "send", "receive", "publish", "delete")).orSingle().nonEmpty()},
).exactlyOne("queue", "topic", "bucket", "table", "stream").shownAs(exampleUse)

var triggerShape = object("trigger", "What starts a function: exactly one of its keys.",
	key{name: "http", doc: "An HTTP route; `GET /path` for short.", shape: object("httpTrigger", "An HTTP route.",
		key{name: "method", doc: "Method; * takes any.", standard: "*", shape: choice(Methods...)},
		key{name: "path", required: true, doc: "Path; {name} takes one segment, {name+} at the end takes the rest.", shape: text(pathPattern)},
		key{name: "cors", doc: "Answer browsers of other origins as http.cors says, or openly when it says nothing.", standard: "false", shape: boolean()},
		key{name: "auth", doc: "Who may call; not set: everybody. jwt needs http.auth.jwt.", shape: choice("jwt")},
	).orText(text(routePattern).guessing(guessRoute), expandRoute)},
	key{name: "schedule", doc: "A clock.", shape: object("scheduleTrigger", "A clock: cron or every.",
		key{name: "cron", doc: "Five fields: minute, hour, day of month, month, day of week.", shape: text(nil)},
		key{name: "every", doc: "A fixed pace.", shape: duration()},
		key{name: "timezone", doc: "IANA name such as Europe/Paris; for cron.", standard: "UTC", shape: text(nil)},
		key{name: "input", doc: "Any value, handed over as data.input.", shape: anything()},
	).exactlyOne("cron", "every").shownAs(exampleSchedule)},
	key{name: "queue", doc: "Messages of a queue; its name for short.", shape: object("queueTrigger", "Messages of a queue.",
		key{name: "name", required: true, doc: "Queue.", shape: text(namePattern)},
		key{name: "batch", doc: "At most so many messages a call.", standard: "10", shape: integer(1, 10_000)},
		key{name: "window", doc: "Wait at most so long to fill a batch.", standard: "0s", shape: duration()},
		key{name: "concurrency", doc: "Calls at once for this queue; not set: no limit asked.", shape: integer(1, 1000)},
	).orText(text(namePattern), expandTo("name"))},
	key{name: "topic", doc: "Messages of a topic; its name for short.", shape: object("topicTrigger", "Messages of a topic.",
		key{name: "name", required: true, doc: "Topic.", shape: text(namePattern)},
		key{name: "filter", doc: "Attributes and the values that pass; all of them must.", shape: dict(anyPattern, list(scalar()).orSingle().nonEmpty())},
	).orText(text(namePattern), expandTo("name"))},
	key{name: "storage", doc: "Objects of a bucket; its name for short.", shape: object("storageTrigger", "Objects of a bucket.",
		key{name: "bucket", required: true, doc: "Bucket.", shape: text(namePattern)},
		key{name: "events", doc: "What happened.", standard: "[created]", shape: list(choice("created", "deleted")).orSingle().nonEmpty()},
		key{name: "prefix", doc: "Start of the keys that count.", shape: text(nil)},
		key{name: "suffix", doc: "End of the keys that count.", shape: text(nil)},
	).orText(text(namePattern), expandTo("bucket"))},
	key{name: "stream", doc: "Records of a stream; its name for short.", shape: object("streamTrigger", "Records of a stream.",
		key{name: "name", required: true, doc: "Stream.", shape: text(namePattern)},
		key{name: "batch", doc: "At most so many records a call.", standard: "100", shape: integer(1, 10_000)},
		key{name: "from", doc: "Where a new consumer starts.", standard: "latest", shape: choice("latest", "earliest")},
	).orText(text(namePattern), expandTo("name"))},
	key{name: "table", doc: "Changes of a table; its name for short.", shape: object("tableTrigger", "Changes of a table.",
		key{name: "name", required: true, doc: "Table.", shape: text(namePattern)},
		key{name: "batch", doc: "At most so many changes a call.", standard: "100", shape: integer(1, 10_000)},
	).orText(text(namePattern), expandTo("name"))},
	key{name: "event", doc: "Events of the custom event bus.", shape: object("eventTrigger", "Events of the custom event bus.",
		key{name: "source", doc: "Source; not set: any.", shape: text(nil)},
		key{name: "type", doc: "Type; not set: any.", shape: text(nil)}).asSetting()},
).exactlyOne("http", "schedule", "queue", "topic", "storage", "stream", "table", "event").shownAs(exampleTrigger)

var httpShape = object("http", "The service's HTTP front.",
	key{name: "cors", doc: "Rules for browsers of other origins, on routes with cors: true.", shape: object("cors", "Rules for browsers of other origins.",
		key{name: "origins", doc: "Origins such as https://shop.example, or *.", standard: "[*]", shape: list(text(nil)).orSingle()},
		key{name: "methods", doc: "Methods.", standard: "[*]", shape: list(choice(Methods...)).orSingle()},
		key{name: "headers", doc: "Request headers.", standard: "[*]", shape: list(text(nil)).orSingle()},
		key{name: "expose", doc: "Response headers that scripts may read.", shape: list(text(nil)).orSingle()},
		key{name: "credentials", doc: "Cookies and authorization go along.", standard: "false", shape: boolean()},
		key{name: "maxAge", doc: "How long a browser may keep the answer.", shape: duration()})},
	key{name: "auth", doc: "Who may call routes with auth.", shape: object("auth", "Who may call routes with auth.",
		key{name: "jwt", doc: "JSON Web Tokens.", shape: object("jwt", "JSON Web Tokens.",
			key{name: "issuer", doc: "Issuer URL.", shape: text(nil)},
			key{name: "audience", doc: "Audiences that are taken, one or a list.", shape: list(text(nil)).orSingle()},
			key{name: "jwks", doc: "Key set URL, or a file for tests on this machine; not set: found through the issuer.", shape: text(nil)})})},
	key{name: "domain", doc: "Domain name of the front.", shape: text(nil)},
)

var resourcesShape = object("resources", "What functions are triggered by and use.",
	key{name: "queues", doc: "Queues by name.", shape: dict(namePattern, object("queue", "Messages, held until a consumer acknowledges them.",
		key{name: "visibility", doc: "How long a message stays hidden while it is worked on; not set: 30s, or the longest timeout of its consumers.", shape: duration()},
		key{name: "retention", doc: "How long a message waits at most.", standard: "4d", shape: duration()},
		key{name: "maxReceives", doc: "Attempts before a message goes to deadLetter.", standard: "5", shape: integer(1, 1000)},
		key{name: "deadLetter", doc: "Queue that takes messages nobody could process.", shape: text(namePattern)},
		key{name: "fifo", doc: "In order, per message group.", standard: "false", shape: boolean()},
		key{name: "retain", doc: "Keep it when the stack goes.", standard: "false", shape: boolean()}).asSetting())},
	key{name: "topics", doc: "Topics by name.", shape: dict(namePattern, object("topic", "Messages, handed to each subscriber.").asSetting())},
	key{name: "buckets", doc: "Buckets by name.", shape: dict(namePattern, object("bucket", "Objects.",
		key{name: "versioned", doc: "Keep earlier versions of objects.", standard: "false", shape: boolean()},
		key{name: "retain", doc: "Keep it when the stack goes.", standard: "false", shape: boolean()}).asSetting())},
	key{name: "tables", doc: "Tables by name.", shape: dict(namePattern, object("table", "Items by key.",
		key{name: "key", doc: "The key attribute and its type.", shape: attributeShape},
		key{name: "sort", doc: "The sort attribute and its type.", shape: attributeShape},
		key{name: "stream", doc: "Changes can be followed; not set: when a trigger does.", shape: boolean()},
		key{name: "retain", doc: "Keep it when the stack goes.", standard: "false", shape: boolean()}).asSetting())},
	key{name: "streams", doc: "Streams by name.", shape: dict(namePattern, object("stream", "An ordered log with partitions.",
		key{name: "shards", doc: "Partitions.", standard: "1", shape: integer(1, 1000)},
		key{name: "retention", doc: "How long records are kept.", standard: "24h", shape: duration()},
		key{name: "retain", doc: "Keep it when the stack goes.", standard: "false", shape: boolean()}).asSetting())},
	key{name: "external", doc: "Resources that exist already and are not managed here: their identity by provider.", shape: object("external", "Resources that exist already.",
		key{name: "queues", doc: "Queues by name.", shape: externalShape},
		key{name: "topics", doc: "Topics by name.", shape: externalShape},
		key{name: "buckets", doc: "Buckets by name.", shape: externalShape},
		key{name: "tables", doc: "Tables by name.", shape: externalShape},
		key{name: "streams", doc: "Streams by name.", shape: externalShape})},
)

var attributeShape = dict(attributePattern, choice("string", "number", "binary"))

var externalShape = dict(namePattern, dict(providerPattern, text(nil)))

// The patterns of names and short texts. They are read by Go and, through the
// JSON Schema, by other engines: no look-around, no flags.
var (
	servicePattern   = &pattern{expr: `^[a-z]([a-z0-9-]{0,38}[a-z0-9])$`, code: "invalid-name", rule: "a-z, 0-9 and -, 2 to 40 characters, starting with a letter and not ending with -"}
	namePattern      = &pattern{expr: `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`, code: "invalid-name", rule: "a-z, 0-9 and -, at most 40 characters, starting with a letter and not ending with -"}
	envPattern       = &pattern{expr: `^[A-Za-z_][A-Za-z0-9_]{0,127}$`, code: "invalid-name", rule: "letters, digits and _, not starting with a digit"}
	tagPattern       = &pattern{expr: `^[A-Za-z0-9_.:/=+@-]{1,128}$`, code: "invalid-name", rule: "letters, digits and _ . : / = + @ -, at most 128 characters"}
	attributePattern = &pattern{expr: `^[A-Za-z_][A-Za-z0-9_]{0,127}$`, code: "invalid-name", rule: "letters, digits and _, not starting with a digit"}
	codePattern      = &pattern{expr: `^[a-z][a-z0-9]*(-[a-z0-9]+)*$`, code: "invalid-value", rule: "the code of a diagnostic, such as oci-concurrency-max"}
	anyPattern       = &pattern{expr: `^[^$]{1,256}$`, code: "invalid-name", rule: "1 to 256 characters without $"}
	handlerPattern   = &pattern{expr: `^[^ \t\r\n]+$`, code: "invalid-value", rule: "path.name, without spaces"}
	pathPattern      = &pattern{expr: `^/[^ \t\r\n]*$`, code: "invalid-path", rule: "a path that starts with / and has no spaces"}
	routePattern     = &pattern{expr: `^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|\*) /[^ \t\r\n]*$`, code: "invalid-value", rule: "a method and a path, such as GET /orders/{id}"}
	providerPattern  = &pattern{options: slices.Clone(Providers), code: "unknown-provider", rule: "one of aws, azure, gcp, oci, local"}
)
