package providertest

import (
	"fmt"
	"time"

	"github.com/anyfaas/anyfaas/manifest/diag"
	"github.com/anyfaas/anyfaas/manifest/graph"
)

// FullGraph returns a graph for the named provider in which every field is set,
// a new one on each call. A field that is added to the graph and missing here
// fails the suite.
func FullGraph(provider string) *graph.Graph {
	here := diag.Pos{File: "serverless.yaml", Line: 1, Column: 1}
	at := graph.Positions{"": here}
	return &graph.Graph{
		Service:  "orders",
		Stage:    "dev",
		Provider: provider,
		Region:   "region-1",
		Dir:      "/project",
		File:     "serverless.yaml",
		Backend:  "file:///state",
		Tags:     map[string]string{"team": "payments"},
		Settings: map[string]string{},
		Accept:   []string{"some-code"},
		Position: at,
		Used:     []graph.Setting{{Path: "service", Pos: here}},
		HTTP: graph.HTTP{
			CORS: &graph.CORS{
				Origins:     []string{"https://shop.example"},
				Methods:     []string{"GET", "POST"},
				Headers:     []string{"authorization"},
				Expose:      []string{"etag"},
				Credentials: true,
				MaxAge:      time.Hour,
			},
			JWT:      &graph.JWT{Issuer: "https://login.example", JWKS: "https://login.example/keys", Audience: []string{"orders"}},
			Domain:   "api.shop.example",
			Position: at,
		},
		Functions: []graph.Function{fullFunction(here)},
		Queues: []graph.Queue{
			{Name: "failures", Visibility: 30 * time.Second, Retention: 4 * 24 * time.Hour, MaxReceives: 5, Position: at},
			{Name: "jobs", Visibility: time.Minute, Retention: 4 * 24 * time.Hour, MaxReceives: 3, DeadLetter: "failures", FIFO: true, Retain: true, Position: at},
			{Name: "legacy", External: "https://queues.example/legacy", Position: at},
		},
		Topics: []graph.Topic{
			{Name: "events", Position: at},
			{Name: "legacy", External: "https://topics.example/legacy", Position: at},
			{Name: "other", Position: at},
		},
		Buckets: []graph.Bucket{
			{Name: "legacy", External: "https://buckets.example/legacy", Position: at},
			{Name: "other", Position: at},
			{Name: "uploads", Versioned: true, Retain: true, Position: at},
		},
		Tables: []graph.Table{
			{Name: "legacy", External: "https://tables.example/legacy", Position: at},
			{Name: "orders", Key: graph.Attribute{Name: "id", Type: "string"}, Sort: graph.Attribute{Name: "at", Type: "number"}, Stream: true, Retain: true, Position: at},
			{Name: "other", Key: graph.Attribute{Name: "id", Type: "string"}, Stream: true, Position: at},
		},
		Streams: []graph.Stream{
			{Name: "clicks", Shards: 2, Retention: 24 * time.Hour, Retain: true, Position: at},
			{Name: "legacy", External: "https://streams.example/legacy", Position: at},
			{Name: "other", Shards: 1, Retention: 24 * time.Hour, Position: at},
		},
	}
}

func fullFunction(here diag.Pos) graph.Function {
	ref := func(group, name, attr string) graph.Text {
		return graph.Text{{Literal: "<"}, {Ref: &graph.Ref{Group: group, Name: name, Attr: attr, Pos: here}}, {Literal: ">"}}
	}
	env := map[string]graph.Text{"LEVEL": {{Literal: "info"}}}
	for group, name := range map[string]string{"queues": "jobs", "topics": "events", "buckets": "uploads", "tables": "orders", "streams": "clicks", "functions": "api"} {
		for _, attr := range graph.Attributes[group] {
			env[fmt.Sprintf("REF_%s_%s", group, attr)] = ref(group, name, attr)
		}
	}
	triggers := []graph.Trigger{
		{HTTP: &graph.HTTPTrigger{Method: "GET", Path: "/orders/{id}", CORS: true, Auth: "jwt"}},
		{HTTP: &graph.HTTPTrigger{Method: "*", Path: "/files/{path+}"}},
		{Schedule: &graph.ScheduleTrigger{Cron: "0 3 * * *", Timezone: "Europe/Paris", Input: map[string]any{"full": true}}},
		{Schedule: &graph.ScheduleTrigger{Every: 5 * time.Minute}},
		{Queue: &graph.QueueTrigger{Name: "jobs", Batch: 10, Window: 5 * time.Second, Concurrency: 5}},
		{Topic: &graph.TopicTrigger{Name: "events", Filter: map[string][]string{"type": {"created"}}}},
		{Topic: &graph.TopicTrigger{Name: "events", Filter: map[string][]string{"type": {"deleted"}}}},
		{Storage: &graph.StorageTrigger{Bucket: "uploads", Events: []string{"created", "deleted"}, Prefix: "in/", Suffix: ".png"}},
		{Stream: &graph.StreamTrigger{Name: "clicks", Batch: 100, From: "latest"}},
		{Table: &graph.TableTrigger{Name: "orders", Batch: 50}},
		{Event: &graph.EventTrigger{Source: "com.example.shop", Type: "order.paid"}},
	}
	for i := range triggers {
		triggers[i].Index, triggers[i].Pos = i, here
	}
	return graph.Function{
		Name:           "api",
		Runtime:        graph.Runtime{Language: "node", Version: "22"},
		HTTPHandler:    "src/api.handler",
		EventHandler:   "src/api.onEvent",
		Description:    "Orders over HTTP",
		MemoryMB:       512,
		Timeout:        15 * time.Second,
		Architecture:   "arm64",
		EphemeralMB:    1024,
		MaxConcurrency: 50,
		Warm:           1,
		PerInstance:    2,
		Env:            env,
		Secrets:        []string{"STRIPE_KEY"},
		Uses: []graph.Use{
			{Kind: graph.QueueKind, Name: "jobs", Access: []graph.Access{"send"}, Pos: here},
			{Kind: graph.TopicKind, Name: "events", Access: []graph.Access{"publish"}, Pos: here},
			{Kind: graph.BucketKind, Name: "uploads", Access: []graph.Access{"read", "write"}, Pos: here},
			{Kind: graph.TableKind, Name: "orders", Access: []graph.Access{"read", "write"}, Pos: here},
			{Kind: graph.StreamKind, Name: "clicks", Access: []graph.Access{"write"}, Pos: here},
			{Kind: graph.QueueKind, Name: "legacy", Access: []graph.Access{"send"}, Pos: here},
			{Kind: graph.TopicKind, Name: "legacy", Access: []graph.Access{"publish"}, Pos: here},
			{Kind: graph.BucketKind, Name: "legacy", Access: []graph.Access{"read"}, Pos: here},
			{Kind: graph.TableKind, Name: "legacy", Access: []graph.Access{"read"}, Pos: here},
			{Kind: graph.StreamKind, Name: "legacy", Access: []graph.Access{"write"}, Pos: here},
		},
		Retries:    graph.Retries{Set: true, Attempts: 2, MaxAge: time.Hour},
		DeadLetter: "failures",
		Logs:       graph.Logs{Retention: 14 * 24 * time.Hour, Level: "info"},
		Tracing:    true,
		Network:    graph.Network{Subnets: []string{"subnet-1"}, SecurityGroups: []string{"group-1"}},
		Package:    graph.Package{Include: []string{"assets/**"}, Exclude: []string{"**/*.test.ts"}, External: []string{"sharp"}},
		Native:     true,
		Triggers:   triggers,
		Command:    []string{"./serve"},
		Image:      "registry.example/api:1",
		Accept:     []string{"some-code"},
		Position:   graph.Positions{"": here},
	}
}
