package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"
)

// bucket is a store in S3, Google Cloud Storage or Azure Blob Storage. Objects
// there are written whole and durably by nature. A log is a row of objects, one
// for each append, so that nothing is lost with this machine.
type bucket struct {
	b     *blob.Bucket
	url   string // without credentials and parameters, for errors
	guard string // file on this machine
}

// openBucket opens the bucket of u, whose path is a folder inside it. It does
// not reach the network yet.
func openBucket(ctx context.Context, u *url.URL, env func(string) string) (*bucket, error) {
	shown := u.Scheme + "://" + u.Host + u.Path
	dir, err := machineFolder(env)
	if err != nil {
		return nil, err
	}
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", shown, err)
	}
	if folder := strings.Trim(u.Path, "/"); folder != "" {
		b = blob.PrefixedBucket(b, folder+"/")
	}
	sum := sha256.Sum256([]byte(shown))
	return &bucket{b: b, url: shown, guard: filepath.Join(dir, hex.EncodeToString(sum[:8])+".guard")}, nil
}

func (b *bucket) Read(ctx context.Context, key string) ([]byte, error) {
	if err := cleanKey(key); err != nil {
		return nil, err
	}
	data, err := b.b.ReadAll(ctx, key)
	return data, b.explain(ctx, key, err)
}

func (b *bucket) Write(ctx context.Context, key string, data []byte) error {
	if err := cleanKey(key); err != nil {
		return err
	}
	return b.explain(ctx, key, b.b.WriteAll(ctx, key, data, nil))
}

func (b *bucket) Put(ctx context.Context, key string, data []byte) error {
	return b.Write(ctx, key, data)
}

func (b *bucket) Create(ctx context.Context, key string, data []byte) error {
	if err := cleanKey(key); err != nil {
		return err
	}
	err := b.b.WriteAll(ctx, key, data, &blob.WriterOptions{IfNotExist: true})
	return b.explain(ctx, key, err)
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	if err := cleanKey(key); err != nil {
		return err
	}
	err := b.explain(ctx, key, b.b.Delete(ctx, key))
	if isGone(err) {
		return nil
	}
	return err
}

func (b *bucket) List(ctx context.Context, prefix string) ([]entry, error) {
	var list []entry
	for it := b.b.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, b.explain(ctx, prefix, err)
		}
		if !o.IsDir {
			list = append(list, entry{Key: o.Key, Modified: o.ModTime})
		}
	}
}

func (b *bucket) OpenLog(ctx context.Context, key string) (appender, error) {
	chunks, err := b.List(ctx, key+"/")
	if err != nil {
		return nil, err
	}
	if len(chunks) > 0 {
		return nil, fmt.Errorf("state %s: log %s: %w", b.url, key, fs.ErrExist)
	}
	return &bucketLog{bucket: b, key: key}, nil
}

func (b *bucket) ReadLog(ctx context.Context, key string) ([]byte, error) {
	chunks, err := b.List(ctx, key+"/")
	if err != nil {
		return nil, err
	}
	if len(chunks) == 0 {
		return nil, fmt.Errorf("state %s: log %s: %w", b.url, key, fs.ErrNotExist)
	}
	var all bytes.Buffer
	for _, c := range chunks {
		data, err := b.Read(ctx, c.Key)
		if err != nil {
			return nil, err
		}
		all.Write(data)
	}
	return all.Bytes(), nil
}

// DeleteLog removes the last part first: what is left after a crash is then
// still the beginning of the log, not a row with a hole.
func (b *bucket) DeleteLog(ctx context.Context, key string) error {
	chunks, err := b.List(ctx, key+"/")
	if err != nil {
		return err
	}
	for i := len(chunks) - 1; i >= 0; i-- {
		if err := b.Delete(ctx, chunks[i].Key); err != nil {
			return err
		}
	}
	return nil
}

func (b *bucket) Guard(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(b.guard), 0o700); err != nil {
		return nil, err
	}
	return guardFile(ctx, b.guard)
}

// explain turns an error of the store into one that says what to do. A missing
// object and a missing bucket look the same to some of them.
func (b *bucket) explain(ctx context.Context, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		if strings.Contains(err.Error(), "NoSuchBucket") || strings.Contains(err.Error(), "ContainerNotFound") ||
			strings.Contains(err.Error(), "bucket doesn't exist") {
			return fmt.Errorf("state %s: the bucket does not exist; create it first: %w", b.url, err)
		}
		return fmt.Errorf("state %s: %s: %w", b.url, key, fs.ErrNotExist)
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return fmt.Errorf("state %s: %s: %w", b.url, key, fs.ErrExist)
	case gcerrors.PermissionDenied:
		return fmt.Errorf("state %s: access denied; check the credentials and their rights on the bucket: %w", b.url, err)
	}
	return fmt.Errorf("state %s: %s: %w", b.url, key, err)
}

type bucketLog struct {
	bucket *bucket
	key    string
	next   int
}

func (l *bucketLog) Append(ctx context.Context, data []byte) error {
	// An interrupted command still has to record what it did.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	l.next++
	return l.bucket.Write(ctx, fmt.Sprintf("%s/%08d", l.key, l.next), data)
}

func (*bucketLog) Close() error { return nil }
