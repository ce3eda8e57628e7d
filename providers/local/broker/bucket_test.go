package broker

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// objectEvents returns kind, key and data of the events a function got.
func (f *fixture) objectEvents(function string) []string {
	var list []string
	for _, ev := range f.caller.events(function) {
		var d objectEvent
		if err := json.Unmarshal(ev.Data, &d); err != nil {
			f.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %s %d", strings.TrimPrefix(ev.Type, "dev.anyfaas.object."), d.Key, d.Size))
	}
	return list
}

func TestBucketStoresObjectsOverPlainHTTP(t *testing.T) {
	f := open(t)
	if _, s3 := f.Addrs(); s3 != "" {
		t.Errorf("the S3 API runs at %s before the first bucket", s3)
	}
	out := f.apply(api.KindBucket, "uploads", api.BucketSpec{})
	base := out["url"].(string)
	_, endpoint := f.Addrs()
	want := api.Outputs{"id": "shop-dev/buckets/uploads", "name": "shop-dev-uploads", "endpoint": endpoint, "url": endpoint + "/shop-dev-uploads"}
	if d := cmp.Diff(want, out); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	keys := []string{"a", "a/b", "a/b/", "dir//x", "../up", "sp ace+plus", "per%cent%20", "ünï/cödé", "q?m#h&=", strings.Repeat("k", 1024)}
	for _, key := range keys {
		where := base + "/" + strings.ReplaceAll(url.PathEscape(key), "+", "%2B")
		body := "body of " + key
		sum := md5.Sum([]byte(body))
		etag := `"` + hex.EncodeToString(sum[:]) + `"`
		put := do(t, "PUT", where, body, "Content-Type: text/x-thing", "X-Amz-Meta-Colour: red")
		if put.Status != 200 || put.Header.Get("ETag") != etag {
			t.Fatalf("PUT %q: %d %s %s", key, put.Status, put.Header.Get("ETag"), put.Body)
		}
		for _, method := range []string{"GET", "HEAD"} {
			got := do(t, method, where, "")
			if method == "HEAD" {
				got.Body = body
			}
			have := []string{fmt.Sprint(got.Status), got.Body, got.Header.Get("ETag"), got.Header.Get("Content-Type"), got.Header.Get("X-Amz-Meta-Colour"), got.Header.Get("X-Amz-Content-Sha256")}
			if d := cmp.Diff([]string{"200", body, etag, "text/x-thing", "red", ""}, have); d != "" {
				t.Errorf("%s %q (-want +got):\n%s", method, key, d)
			}
		}
		part := do(t, "GET", where, "", "Range: bytes=0-3")
		if part.Status != 206 || part.Body != "body" {
			t.Errorf("range of %q: %d %q", key, part.Status, part.Body)
		}
	}
	f.close()
	f.reopen()
	if again := f.apply(api.KindBucket, "uploads", api.BucketSpec{}); again["url"] != base {
		t.Errorf("after a restart the URL is %s, was %s", again["url"], base)
	}
	for _, key := range keys {
		where := base + "/" + strings.ReplaceAll(url.PathEscape(key), "+", "%2B")
		if got := do(t, "GET", where, ""); got.Body != "body of "+key {
			t.Errorf("after a restart %q is %d %s", key, got.Status, got.Body)
		}
		if got := do(t, "DELETE", where, ""); got.Status != 204 {
			t.Errorf("DELETE %q: %d %s", key, got.Status, got.Body)
		}
		if got := do(t, "GET", where, ""); got.Status != 404 || !strings.Contains(got.Body, "<Code>NoSuchKey</Code>") {
			t.Errorf("deleted %q: %d %s", key, got.Status, got.Body)
		}
	}
	for name, r := range map[string]reply{
		"AccessDenied":     do(t, "GET", base+"/a", "", "Origin: https://evil.example"),
		"NotImplemented":   do(t, "PUT", base+"/a?tagging", "<Tagging/>"),
		"MethodNotAllowed": do(t, "PUT", endpoint+"/other", ""),
		"NoSuchBucket":     do(t, "GET", endpoint+"/other/a", ""),
	} {
		if r.Status < 400 || !strings.Contains(r.Body, "<Code>"+name+"</Code>") {
			t.Errorf("want %s, got %d %s", name, r.Status, r.Body)
		}
	}
}

func TestBucketTellsEachChangeOnce(t *testing.T) {
	f := open(t, func(o *Options) {
		o.Policy = func(string, string) api.FunctionSpec { return api.FunctionSpec{Retries: api.Retries{Attempts: 3}} }
	})
	base := f.apply(api.KindBucket, "uploads", api.BucketSpec{})["url"].(string)
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created", "deleted"}})
	f.apply(api.KindNotification, "png", api.NotificationSpec{Function: "png", Bucket: "uploads", Events: []string{"created"}, Prefix: "in/", Suffix: ".png"})
	do(t, "PUT", base+"/in/a.png", "123")
	do(t, "PUT", base+"/in/a.txt", "1234")
	do(t, "PUT", base+"/out/a.png", "12345")
	do(t, "PUT", base+"/in/a.png", "123456")
	do(t, "DELETE", base+"/in/a.png", "")
	do(t, "DELETE", base+"/in/a.png", "")
	do(t, "DELETE", base+"/never", "")
	want := []string{"created.v1 in/a.png 3", "created.v1 in/a.png 6", "created.v1 in/a.txt 4", "created.v1 out/a.png 5", "deleted.v1 in/a.png 6"}
	eventually(t, func() string { return cmp.Diff(want, sorted(f.objectEvents("all"))) })
	eventually(t, func() string {
		return cmp.Diff([]string{"created.v1 in/a.png 3", "created.v1 in/a.png 6"}, sorted(f.objectEvents("png")))
	})
	for _, ev := range f.caller.events("all") {
		if ev.Type != "dev.anyfaas.object.deleted.v1" {
			continue
		}
		wantEvent := api.CloudEvent{
			SpecVersion: "1.0", Type: "dev.anyfaas.object.deleted.v1", Source: "/buckets/uploads", ID: ev.ID, Time: ev.Time,
			Subject: "in/a.png", DataContentType: "application/json", DeliveryCount: 1,
			Data: json.RawMessage(`{"bucket":"shop-dev-uploads","key":"in/a.png","size":6,"etag":"e10adc3949ba59abbe56e057f20f883e"}`),
		}
		if d := cmp.Diff(wantEvent, ev); d != "" {
			t.Errorf("event (-want +got):\n%s", d)
		}
	}
	// Nothing more comes after a restart.
	f.close()
	f.reopen()
	base = f.apply(api.KindBucket, "uploads", api.BucketSpec{})["url"].(string)
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created"}})
	do(t, "PUT", base+"/last", "1")
	eventually(t, func() string {
		return cmp.Diff(sorted(append(want, "created.v1 last 1")), sorted(f.objectEvents("all")))
	})
}

// client is an ordinary S3 client.
func client(endpoint string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: "local",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
	})
}

// A stream is a body that cannot be read twice, so that an SDK sends it as
// aws-chunked with a trailing checksum or in one signed piece.
func TestBucketServesAnOrdinaryS3Client(t *testing.T) {
	f := open(t)
	out := f.apply(api.KindBucket, "uploads", api.BucketSpec{Versioned: true})
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created", "deleted"}})
	c, bucket, ctx := client(out["endpoint"].(string)), aws.String(out["name"].(string)), t.Context()
	put := func(key, body string) *s3.PutObjectOutput {
		t.Helper()
		o, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: strings.NewReader(body), ContentType: aws.String("text/plain"),
			ContentEncoding: aws.String("identity"), Metadata: map[string]string{"colour": "red"}, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	get := func(key string, version *string) (string, error) {
		o, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, VersionId: version})
		if err != nil {
			return "", err
		}
		defer o.Body.Close()
		b, err := io.ReadAll(o.Body)
		return string(b), err
	}
	first := put("dir/ä b+c%.txt", "one")
	put("dir/ä b+c%.txt", "two")
	if got, err := get("dir/ä b+c%.txt", nil); got != "two" || err != nil {
		t.Errorf("newest: %q, %v", got, err)
	}
	if got, err := get("dir/ä b+c%.txt", first.VersionId); got != "one" || err != nil {
		t.Errorf("first version: %q, %v", got, err)
	}
	for i := range 25 {
		put(fmt.Sprintf("list/%02d/x", i), "x")
	}
	put("list/z", "x")

	var prefixes, keys []string
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("list/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(7)})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p.CommonPrefixes {
			prefixes = append(prefixes, *x.Prefix)
		}
		for _, x := range p.Contents {
			keys = append(keys, *x.Key)
		}
	}
	var wantPrefixes []string
	for i := range 25 {
		wantPrefixes = append(wantPrefixes, fmt.Sprintf("list/%02d/", i))
	}
	if d := cmp.Diff(wantPrefixes, prefixes); d != "" {
		t.Errorf("prefixes (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"list/z"}, keys); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}

	if _, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String(*bucket + "/list/z")}); err != nil {
		t.Fatal(err)
	}
	if got, err := get("copy", nil); got != "x" || err != nil {
		t.Errorf("copy: %q, %v", got, err)
	}
	if _, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("copy")}, {Key: aws.String("list/z")}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := get("copy", nil); err == nil || !strings.Contains(err.Error(), "NoSuchKey") {
		t.Errorf("deleted copy: %v", err)
	}
	versions, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: aws.String("dir/")})
	if err != nil || len(versions.Versions) != 2 || *versions.Versions[1].VersionId != *first.VersionId {
		t.Errorf("versions: %+v, %v", versions, err)
	}
	eventually(t, func() string { return wantCount("events", len(f.objectEvents("all")), 2+25+1+1+2) })
}

func TestBucketTakesAnUploadInParts(t *testing.T) {
	f := open(t)
	out := f.apply(api.KindBucket, "uploads", api.BucketSpec{})
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created"}})
	c, bucket, ctx := client(out["endpoint"].(string)), aws.String(out["name"].(string)), t.Context()
	key := aws.String("big file")
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key, ContentType: aws.String("video/x"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, 12<<20)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := io.ReadFull(random, whole); err != nil {
		t.Fatal(err)
	}
	var done []types.CompletedPart
	for i, from := int32(1), 0; from < len(whole); i, from = i+1, from+(5<<20) {
		p, err := c.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: &i, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
			Body: bytes.NewReader(whole[from:min(from+(5<<20), len(whole))]),
		})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, types.CompletedPart{ETag: p.ETag, PartNumber: aws.Int32(i)})
	}
	listed, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId})
	if err != nil || len(listed.Parts) != 3 {
		t.Errorf("parts: %+v, %v", listed, err)
	}
	f.close() // an upload goes on after a restart
	f.reopen()
	f.apply(api.KindBucket, "uploads", api.BucketSpec{})
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created"}})
	if _, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil || !bytes.Equal(b, whole) || *got.ContentType != "video/x" {
		t.Errorf("got %d bytes of %s, %v; want %d", len(b), *got.ContentType, err, len(whole))
	}
	eventually(t, func() string { return cmp.Diff([]string{"created.v1 big file 12582912"}, f.objectEvents("all")) })
	if list, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket}); err != nil || len(list.Uploads) != 0 {
		t.Errorf("uploads left: %+v, %v", list, err)
	}
}

func TestBucketName(t *testing.T) {
	tests := []struct{ stack, name, want string }{
		{"shop-dev", "uploads", "shop-dev-uploads"},
		{"shop-PR_7", "uploads", "shop-pr-7-uploads-4dde43b5"},
		{strings.Repeat("s", 40) + "-production", "uploads-of-all", strings.Repeat("s", 40) + "-production-up-"},
	}
	for _, tt := range tests {
		got := bucketName(tt.stack, tt.name)
		if !strings.HasPrefix(got, tt.want) || len(got) > 63 {
			t.Errorf("%s %s: %s (%d)", tt.stack, tt.name, got, len(got))
		}
	}
}

func TestBucketTakesAWSChunkedBodies(t *testing.T) {
	f := open(t)
	base := f.apply(api.KindBucket, "uploads", api.BucketSpec{})["url"].(string)
	f.apply(api.KindNotification, "all", api.NotificationSpec{Function: "all", Bucket: "uploads", Events: []string{"created"}})
	tests := []struct {
		name, kind, body, length string
		status                   int
		want                     string
	}{
		{"signed chunks", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "5;chunk-signature=ab\r\nhello\r\n6;chunk-signature=cd\r\n world\r\n0;chunk-signature=ef\r\n\r\n", "11", 200, "hello world"},
		{"unsigned chunks and a trailing checksum", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "5", 200, "hello"},
		{"an empty body", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0\r\n\r\n", "0", 200, ""},
		{"a body that ends early", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhel", "5", 500, ""},
		{"fewer bytes than announced", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n0\r\n\r\n", "6", 500, ""},
		{"no length", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "0\r\n\r\n", "", 400, ""},
	}
	for i, tt := range tests {
		where := fmt.Sprintf("%s/%d", base, i)
		r := do(t, "PUT", where, tt.body, "X-Amz-Content-Sha256: "+tt.kind, "X-Amz-Decoded-Content-Length: "+tt.length, "Content-Encoding: aws-chunked,gzip")
		got := do(t, "GET", where, "", "Accept-Encoding: identity")
		switch {
		case r.Status != tt.status:
			t.Errorf("%s: %d %s", tt.name, r.Status, r.Body)
		case tt.status == 200 && (got.Body != tt.want || got.Header.Get("Content-Encoding") != "gzip"):
			t.Errorf("%s: stored %q as %q, want %q as gzip", tt.name, got.Body, got.Header.Get("Content-Encoding"), tt.want)
		case tt.status != 200 && got.Status != 404:
			t.Errorf("%s: stored %q", tt.name, got.Body)
		}
	}
	eventually(t, func() string {
		return cmp.Diff([]string{"created.v1 0 11", "created.v1 1 5", "created.v1 2 0"}, sorted(f.objectEvents("all")))
	})
}
