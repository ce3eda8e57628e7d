package providertest

import (
	"reflect"
	"slices"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// fields maps each field of a graph to the settings of the manifest that fill
// it. None means that the field is a name: every provider has to use it.
var fields = map[string][]string{
	"Service":  {"service"},
	"Stage":    {"stage"},
	"Provider": {"provider"},
	"Backend":  {"backend"},
	"Tags":     {"tags.*"},
	"Accept":   {"accept"},

	"Functions[].Name":             nil,
	"Functions[].Runtime.Language": {"functions.*.runtime"},
	"Functions[].Runtime.Version":  {"functions.*.runtime"},
	"Functions[].HTTPHandler":      {"functions.*.handler", "functions.*.handler.http"},
	"Functions[].EventHandler":     {"functions.*.handler", "functions.*.handler.event"},
	"Functions[].Description":      {"functions.*.description"},
	"Functions[].MemoryMB":         {"functions.*.memory"},
	"Functions[].Timeout":          {"functions.*.timeout"},
	"Functions[].Architecture":     {"functions.*.architecture"},
	"Functions[].EphemeralMB":      {"functions.*.ephemeralStorage"},
	"Functions[].MaxConcurrency":   {"functions.*.concurrency.max"},
	"Functions[].Warm":             {"functions.*.concurrency.warm"},
	"Functions[].PerInstance":      {"functions.*.concurrency.perInstance"},
	"Functions[].Env":              {"functions.*.env.*"},
	"Functions[].Secrets":          {"functions.*.secrets"},
	"Functions[].Uses[].Kind":      {"functions.*.uses[].queue", "functions.*.uses[].topic", "functions.*.uses[].bucket", "functions.*.uses[].table", "functions.*.uses[].stream"},
	"Functions[].Uses[].Name":      {"functions.*.uses[].queue", "functions.*.uses[].topic", "functions.*.uses[].bucket", "functions.*.uses[].table", "functions.*.uses[].stream"},
	"Functions[].Uses[].Access":    {"functions.*.uses[].access"},
	"Functions[].Retries.Set":      {"functions.*.retries.attempts"},
	"Functions[].Retries.Attempts": {"functions.*.retries.attempts"},
	"Functions[].Retries.MaxAge":   {"functions.*.retries.maxAge"},
	"Functions[].DeadLetter":       {"functions.*.deadLetter"},
	"Functions[].Logs.Retention":   {"functions.*.logs.retention"},
	"Functions[].Logs.Level":       {"functions.*.logs.level"},
	"Functions[].Tracing":          {"functions.*.tracing"},
	"Functions[].Network.Subnets":  {"functions.*.network.subnets"},
	"Functions[].Package.Include":  {"functions.*.package.include"},
	"Functions[].Package.Exclude":  {"functions.*.package.exclude"},
	"Functions[].Package.External": {"functions.*.package.external"},
	"Functions[].Native":           {"functions.*.native"},
	"Functions[].Command":          {"functions.*.command"},
	"Functions[].Image":            {"functions.*.image"},
	"Functions[].Accept":           {"functions.*.accept"},

	"Functions[].Network.SecurityGroups": {"functions.*.network.securityGroups"},

	"Functions[].Triggers[].HTTP.Method":       {"functions.*.triggers[].http.method"},
	"Functions[].Triggers[].HTTP.Path":         {"functions.*.triggers[].http.path"},
	"Functions[].Triggers[].HTTP.CORS":         {"functions.*.triggers[].http.cors"},
	"Functions[].Triggers[].HTTP.Auth":         {"functions.*.triggers[].http.auth"},
	"Functions[].Triggers[].Schedule.Cron":     {"functions.*.triggers[].schedule.cron"},
	"Functions[].Triggers[].Schedule.Every":    {"functions.*.triggers[].schedule.every"},
	"Functions[].Triggers[].Schedule.Timezone": {"functions.*.triggers[].schedule.timezone"},
	"Functions[].Triggers[].Schedule.Input":    {"functions.*.triggers[].schedule.input"},
	"Functions[].Triggers[].Queue.Name":        {"functions.*.triggers[].queue.name"},
	"Functions[].Triggers[].Queue.Batch":       {"functions.*.triggers[].queue.batch"},
	"Functions[].Triggers[].Queue.Window":      {"functions.*.triggers[].queue.window"},
	"Functions[].Triggers[].Queue.Concurrency": {"functions.*.triggers[].queue.concurrency"},
	"Functions[].Triggers[].Topic.Name":        {"functions.*.triggers[].topic.name"},
	"Functions[].Triggers[].Topic.Filter":      {"functions.*.triggers[].topic.filter.*"},
	"Functions[].Triggers[].Storage.Bucket":    {"functions.*.triggers[].storage.bucket"},
	"Functions[].Triggers[].Storage.Events":    {"functions.*.triggers[].storage.events"},
	"Functions[].Triggers[].Storage.Prefix":    {"functions.*.triggers[].storage.prefix"},
	"Functions[].Triggers[].Storage.Suffix":    {"functions.*.triggers[].storage.suffix"},
	"Functions[].Triggers[].Stream.Name":       {"functions.*.triggers[].stream.name"},
	"Functions[].Triggers[].Stream.Batch":      {"functions.*.triggers[].stream.batch"},
	"Functions[].Triggers[].Stream.From":       {"functions.*.triggers[].stream.from"},
	"Functions[].Triggers[].Table.Name":        {"functions.*.triggers[].table.name"},
	"Functions[].Triggers[].Table.Batch":       {"functions.*.triggers[].table.batch"},
	"Functions[].Triggers[].Event.Source":      {"functions.*.triggers[].event", "functions.*.triggers[].event.source"},
	"Functions[].Triggers[].Event.Type":        {"functions.*.triggers[].event", "functions.*.triggers[].event.type"},

	"HTTP.CORS.Origins":     {"http.cors.origins"},
	"HTTP.CORS.Methods":     {"http.cors.methods"},
	"HTTP.CORS.Headers":     {"http.cors.headers"},
	"HTTP.CORS.Expose":      {"http.cors.expose"},
	"HTTP.CORS.Credentials": {"http.cors.credentials"},
	"HTTP.CORS.MaxAge":      {"http.cors.maxAge"},
	"HTTP.JWT.Issuer":       {"http.auth.jwt.issuer"},
	"HTTP.JWT.JWKS":         {"http.auth.jwt.jwks"},
	"HTTP.JWT.Audience":     {"http.auth.jwt.audience"},
	"HTTP.Domain":           {"http.domain"},

	"Queues[].Name":        {"resources.queues.*"},
	"Queues[].Visibility":  {"resources.queues.*.visibility"},
	"Queues[].Retention":   {"resources.queues.*.retention"},
	"Queues[].MaxReceives": {"resources.queues.*.maxReceives"},
	"Queues[].DeadLetter":  {"resources.queues.*.deadLetter"},
	"Queues[].FIFO":        {"resources.queues.*.fifo"},
	"Queues[].Retain":      {"resources.queues.*.retain"},
	"Queues[].External":    {"resources.external.queues.*.*"},
	"Topics[].Name":        {"resources.topics.*"},
	"Topics[].External":    {"resources.external.topics.*.*"},
	"Buckets[].Name":       {"resources.buckets.*"},
	"Buckets[].Versioned":  {"resources.buckets.*.versioned"},
	"Buckets[].Retain":     {"resources.buckets.*.retain"},
	"Buckets[].External":   {"resources.external.buckets.*.*"},
	"Tables[].Name":        {"resources.tables.*"},
	"Tables[].Key.Name":    {"resources.tables.*.key.*"},
	"Tables[].Key.Type":    {"resources.tables.*.key.*"},
	"Tables[].Sort.Name":   {"resources.tables.*.sort.*"},
	"Tables[].Sort.Type":   {"resources.tables.*.sort.*"},
	"Tables[].Stream":      {"resources.tables.*.stream"},
	"Tables[].Retain":      {"resources.tables.*.retain"},
	"Tables[].External":    {"resources.external.tables.*.*"},
	"Streams[].Name":       {"resources.streams.*"},
	"Streams[].Shards":     {"resources.streams.*.shards"},
	"Streams[].Retention":  {"resources.streams.*.retention"},
	"Streams[].Retain":     {"resources.streams.*.retain"},
	"Streams[].External":   {"resources.external.streams.*.*"},
}

// bookkeeping are the fields that say where things stand rather than what they
// are. Region and Settings hold what is under providers.<name>, which differs.
var bookkeeping = []string{"Dir", "File", "Used", "Region", "Settings", "Functions[].Triggers[].Index"}

// leaves calls visit with every field of g that holds a setting, by its path
// without indices, those of the first element first.
func leaves(g *graph.Graph, visit func(path string, field reflect.Value)) {
	walk("", reflect.ValueOf(g).Elem(), visit)
}

func walk(path string, v reflect.Value, visit func(string, reflect.Value)) {
	if slices.Contains(bookkeeping, path) {
		return
	}
	switch v.Interface().(type) {
	case diag.Pos, graph.Positions:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if path != "" {
				name = path + "." + name
			}
			walk(name, v.Field(i), visit)
		}
		return
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		walk(path, v.Elem(), visit)
		return
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct {
			for i := range v.Len() {
				walk(path+"[]", v.Index(i), visit)
			}
			return
		}
	}
	visit(path, v)
}

// change gives a field another value.
func change(v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Duration:
		v.Set(reflect.ValueOf(x + time.Minute))
		return
	case map[string]graph.Text:
		x["LEVEL"] = graph.Text{{Literal: "changed"}}
		return
	case map[string]string:
		x["changed"] = "changed"
		return
	case map[string][]string:
		x["changed"] = []string{"changed"}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.ValueOf("changed").Convert(v.Type().Elem())))
	case reflect.Interface:
		v.Set(reflect.ValueOf("changed"))
	default:
		panic("providertest: a field of type " + v.Type().String())
	}
}
