package local

import (
	"encoding/json"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A kind is a resource type: its Pulumi token, its family on the host and what
// anyfaas has to know about it.
type kind struct {
	token    string
	api      api.Kind
	shared   bool            // belongs to the service rather than to a function
	stateful bool            // losing it loses data
	replace  map[string]bool // inputs that cannot be changed in place, besides "stack"
	outputs  []string        // known only once the host has answered
	inputs   func() inputs   // an empty inputs struct
}

// Inputs of a kind. spec gives the host's specification of decoded inputs; read
// is the inverse and sets every field that the host knows.
type inputs interface {
	stack() string
	spec() any
	read(spec json.RawMessage) error
}

// kinds lists the resource types.
var kinds = []kind{
	{token: tokenService, api: api.KindService, shared: true, outputs: []string{"url", "port", "events"}, inputs: func() inputs { return &serviceInputs{} }},
	{token: tokenQueue, api: api.KindQueue, shared: true, stateful: true, replace: set("fifo"), outputs: []string{"url"}, inputs: func() inputs { return &queueInputs{} }},
	{token: tokenTopic, api: api.KindTopic, shared: true, outputs: []string{"url"}, inputs: func() inputs { return &topicInputs{} }},
	{token: tokenStream, api: api.KindStream, shared: true, stateful: true, replace: set("shards"), outputs: []string{"url"}, inputs: func() inputs { return &streamInputs{} }},
	{token: tokenTable, api: api.KindTable, shared: true, stateful: true, replace: set("key", "sort"), outputs: []string{"url"}, inputs: func() inputs { return &tableInputs{} }},
	{token: tokenBucket, api: api.KindBucket, shared: true, stateful: true, outputs: []string{"url", "endpoint"}, inputs: func() inputs { return &bucketInputs{} }},
	{token: tokenFunction, api: api.KindFunction, inputs: func() inputs { return &functionInputs{} }},
	{token: tokenRoute, api: api.KindRoute, outputs: []string{"url"}, inputs: func() inputs { return &routeInputs{} }},
	{token: tokenSchedule, api: api.KindSchedule, inputs: func() inputs { return &scheduleInputs{} }},
	{token: tokenQueueConsumer, api: api.KindQueueConsumer, replace: set("queue"), inputs: func() inputs { return &queueConsumerInputs{} }},
	{token: tokenSubscription, api: api.KindSubscription, replace: set("topic"), inputs: func() inputs { return &subscriptionInputs{} }},
	{token: tokenNotification, api: api.KindNotification, replace: set("bucket"), inputs: func() inputs { return &notificationInputs{} }},
	{token: tokenStreamReader, api: api.KindStreamReader, replace: set("stream", "from"), inputs: func() inputs { return &streamReaderInputs{} }},
	{token: tokenTableReader, api: api.KindTableReader, replace: set("table"), inputs: func() inputs { return &tableReaderInputs{} }},
	{token: tokenEventRule, api: api.KindEventRule, inputs: func() inputs { return &eventRuleInputs{} }},
}

// kindOf finds the kind of a type token.
func kindOf(token string) (kind, bool) {
	for _, k := range kinds {
		if k.token == token {
			return k, true
		}
	}
	return kind{}, false
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// member is the part of every inputs struct that says which stack of the host
// the resource is in, "<service>-<stage>".
type member struct {
	Stack string `pulumi:"stack,required"`
}

func (m member) stack() string { return m.Stack }
