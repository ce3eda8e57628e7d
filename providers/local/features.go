package local

import "github.com/anyfaas/anyfaas/providers"

// Features is the table of what running on this machine does with each setting.
func (Provider) Features() providers.Features { return features }

const source = "https://github.com/anyfaas/anyfaas/blob/main/DESIGN.md"

var (
	exact    = providers.Support{Level: providers.Exact}
	emulated = providers.Support{Level: providers.Emulated}
)

func approximated(code, note string) providers.Support {
	return providers.Support{Level: providers.Approximated, Code: code, Note: note, Source: source}
}

func unsupported(code, note string) providers.Support {
	return providers.Support{Level: providers.Unsupported, Code: code, Note: note, Source: source}
}

var features = providers.NewFeatures(providers.Features{
	"service":              exact,
	"stage":                exact,
	"tags.*":               exact,
	"providers.local.port": exact,

	"functions.*.handler":          exact,
	"functions.*.handler.http":     exact,
	"functions.*.handler.event":    exact,
	"functions.*.runtime":          exact,
	"functions.*.description":      exact,
	"functions.*.command":          exact,
	"functions.*.image":            unsupported("local-image", "provider local runs programs, not container images"),
	"functions.*.memory":           emulated,
	"functions.*.timeout":          emulated,
	"functions.*.architecture":     approximated("local-architecture", "functions run on the architecture of this machine"),
	"functions.*.ephemeralStorage": approximated("local-storage", "functions share the disk of this machine, without a limit"),
	"functions.*.native":           unsupported("local-native", "provider local has no event form of its own to hand through"),
	"functions.*.tracing":          approximated("local-tracing", "calls carry a traceparent, but no tracing service collects them"),

	"functions.*.concurrency.max":         emulated,
	"functions.*.concurrency.warm":        emulated,
	"functions.*.concurrency.perInstance": emulated,

	"functions.*.env.*":            exact,
	"functions.*.secrets":          exact,
	"functions.*.uses[].queue":     emulated,
	"functions.*.uses[].topic":     emulated,
	"functions.*.uses[].bucket":    emulated,
	"functions.*.uses[].table":     emulated,
	"functions.*.uses[].stream":    emulated,
	"functions.*.uses[].access":    {Level: providers.Emulated, Note: "functions learn the addresses of what they use; their rights are not checked on this machine"},
	"functions.*.retries.attempts": emulated,
	"functions.*.retries.maxAge":   emulated,
	"functions.*.deadLetter":       emulated,
	"functions.*.logs.retention":   emulated,
	"functions.*.logs.level":       emulated,
	"functions.*.network.subnets":  approximated("local-network", "functions use the network of this machine"),

	"functions.*.network.securityGroups": approximated("local-network", "functions use the network of this machine"),

	"functions.*.triggers[].http.method":       emulated,
	"functions.*.triggers[].http.path":         emulated,
	"functions.*.triggers[].http.cors":         emulated,
	"functions.*.triggers[].http.auth":         emulated,
	"functions.*.triggers[].schedule.cron":     emulated,
	"functions.*.triggers[].schedule.every":    emulated,
	"functions.*.triggers[].schedule.timezone": emulated,
	"functions.*.triggers[].schedule.input":    emulated,
	"functions.*.triggers[].queue.name":        emulated,
	"functions.*.triggers[].queue.batch":       emulated,
	"functions.*.triggers[].queue.window":      emulated,
	"functions.*.triggers[].queue.concurrency": emulated,
	"functions.*.triggers[].topic.name":        emulated,
	"functions.*.triggers[].topic.filter.*":    emulated,
	"functions.*.triggers[].storage.bucket":    emulated,
	"functions.*.triggers[].storage.events":    emulated,
	"functions.*.triggers[].storage.prefix":    emulated,
	"functions.*.triggers[].storage.suffix":    emulated,
	"functions.*.triggers[].stream.name":       emulated,
	"functions.*.triggers[].stream.batch":      emulated,
	"functions.*.triggers[].stream.from":       emulated,
	"functions.*.triggers[].table.name":        emulated,
	"functions.*.triggers[].table.batch":       emulated,
	"functions.*.triggers[].event":             emulated,
	"functions.*.triggers[].event.source":      emulated,
	"functions.*.triggers[].event.type":        emulated,

	"http.cors.origins":      emulated,
	"http.cors.methods":      emulated,
	"http.cors.headers":      emulated,
	"http.cors.expose":       emulated,
	"http.cors.credentials":  emulated,
	"http.cors.maxAge":       emulated,
	"http.auth.jwt.issuer":   emulated,
	"http.auth.jwt.audience": emulated,
	"http.auth.jwt.jwks":     emulated,
	"http.domain":            approximated("local-domain", "the front answers to this name, without TLS, once the name points to this machine"),

	"resources.queues.*":             emulated,
	"resources.queues.*.visibility":  emulated,
	"resources.queues.*.retention":   emulated,
	"resources.queues.*.maxReceives": emulated,
	"resources.queues.*.deadLetter":  emulated,
	"resources.queues.*.fifo":        emulated,
	"resources.queues.*.retain":      emulated,
	"resources.topics.*":             emulated,
	"resources.buckets.*":            emulated,
	"resources.buckets.*.versioned":  emulated,
	"resources.buckets.*.retain":     emulated,
	"resources.tables.*":             emulated,
	"resources.tables.*.key.*":       emulated,
	"resources.tables.*.sort.*":      emulated,
	"resources.tables.*.stream":      emulated,
	"resources.tables.*.retain":      emulated,
	"resources.streams.*":            emulated,
	"resources.streams.*.shards":     emulated,
	"resources.streams.*.retention":  emulated,
	"resources.streams.*.retain":     emulated,

	"resources.external.queues.*.*":  emulated,
	"resources.external.topics.*.*":  emulated,
	"resources.external.buckets.*.*": emulated,
	"resources.external.tables.*.*":  emulated,
	"resources.external.streams.*.*": emulated,
})
