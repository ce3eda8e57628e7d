package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const (
	tokenBucket       = Package + ":index:Bucket"
	tokenNotification = Package + ":index:Notification"
)

type bucketInputs struct {
	member
	Versioned bool `pulumi:"versioned"`
	Retain    bool `pulumi:"retain"`
}

func (p *program) bucket(b *graph.Bucket) {
	in := bucketInputs{member: p.member, Versioned: b.Versioned, Retain: b.Retain}
	p.store(graph.BucketKind, b.Name, tokenBucket, in, kept(b.Retain))
}

func (in *bucketInputs) spec() any {
	return api.BucketSpec{Versioned: in.Versioned, Retain: in.Retain}
}

func (in *bucketInputs) read(raw json.RawMessage) error {
	var s api.BucketSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = bucketInputs{member: in.member, Versioned: s.Versioned, Retain: s.Retain}
	return nil
}

type notification struct{ pulumi.CustomResourceState }

type notificationInputs struct {
	member
	Function value    `pulumi:"function,required"`
	Bucket   value    `pulumi:"bucket,required"`
	Events   []string `pulumi:"events,required"`
	Prefix   string   `pulumi:"prefix"`
	Suffix   string   `pulumi:"suffix"`
}

func (p *program) notification(f *deployed, t *graph.StorageTrigger) {
	p.trigger(tokenNotification, f, "storage."+t.Bucket, notificationInputs{
		member:   p.member,
		Function: f.ref(p.ctx),
		Bucket:   p.refer(graph.BucketKind, t.Bucket),
		Events:   t.Events,
		Prefix:   t.Prefix,
		Suffix:   t.Suffix,
	}, &notification{})
}

func (in *notificationInputs) spec() any {
	return api.NotificationSpec{Function: in.Function.text, Bucket: in.Bucket.text, Events: in.Events, Prefix: in.Prefix, Suffix: in.Suffix}
}

func (in *notificationInputs) read(raw json.RawMessage) error {
	var s api.NotificationSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = notificationInputs{member: in.member, Function: known(s.Function), Bucket: known(s.Bucket), Events: s.Events, Prefix: s.Prefix, Suffix: s.Suffix}
	return nil
}
