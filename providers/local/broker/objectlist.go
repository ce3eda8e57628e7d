package broker

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"go.etcd.io/bbolt"
)

func (o *objects) ListBuckets() ([]gofakes3.BucketInfo, error) {
	var list []gofakes3.BucketInfo
	for _, bk := range o.b.buckets() {
		list = append(list, gofakes3.BucketInfo{Name: bk.name, CreationDate: gofakes3.NewContentTime(bk.created)})
	}
	return list, nil
}

func (o *objects) BucketExists(name string) (bool, error) { return o.b.bucketByName(name) != nil, nil }

// errDeclared refuses to make or delete buckets.
var errDeclared = gofakes3.ErrorMessage(gofakes3.ErrMethodNotAllowed, "buckets are declared in serverless.yaml and come and go with the stack")

func (o *objects) CreateBucket(name string) error {
	if o.b.bucketByName(name) != nil {
		return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
	}
	return errDeclared
}

func (o *objects) DeleteBucket(string) error      { return errDeclared }
func (o *objects) ForceDeleteBucket(string) error { return errDeclared }

// walk calls visit with the keys of a bucket in order, from the first one not
// before from that begins with prefix. Visit returns the next key to look at,
// "" for the one that follows, and whether to go on.
func (o *objects) walk(bucket, prefix, from string, visit func(key string, list []objectVersion) (next string, goOn bool)) error {
	return o.db.View(func(tx *bbolt.Tx) error {
		index := tx.Bucket(objectsBucket).Bucket([]byte(bucket))
		if index == nil {
			return gofakes3.BucketNotFound(bucket)
		}
		c := index.Cursor()
		for k, v := c.Seek([]byte(max(prefix, from))); k != nil && strings.HasPrefix(string(k), prefix); {
			var list []objectVersion
			if err := json.Unmarshal(v, &list); err != nil {
				return fmt.Errorf("index of bucket %s, key %q: %w", bucket, k, err)
			}
			next, goOn := visit(string(k), list)
			if !goOn {
				return nil
			}
			if next == "" {
				k, v = c.Next()
			} else {
				k, v = c.Seek([]byte(next))
			}
		}
		return nil
	})
}

// group returns the common prefix that a key is shown as, or "".
func group(key string, p *gofakes3.Prefix) string {
	if p.Delimiter == "" {
		return ""
	}
	if i := strings.Index(key[len(p.Prefix):], p.Delimiter); i >= 0 {
		return key[:len(p.Prefix)+i+len(p.Delimiter)]
	}
	return ""
}

// past returns the first key after all that begin with prefix.
func pastPrefix(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return prefix + "\xff" // no such key in UTF-8
}

func (o *objects) ListBucket(bucket string, p *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if p == nil {
		p = &gofakes3.Prefix{}
	}
	from := ""
	if page.Marker != "" {
		from = page.Marker + "\x00"
		if strings.HasPrefix(page.Marker, p.Prefix) && group(page.Marker, p) == page.Marker {
			from = pastPrefix(page.Marker)
		}
	}
	list := gofakes3.NewObjectList()
	count, last := int64(0), ""
	err := o.walk(bucket, p.Prefix, from, func(key string, versions []objectVersion) (string, bool) {
		v := visible(versions)
		if v == nil {
			return "", true
		}
		if page.MaxKeys > 0 && count == page.MaxKeys {
			list.IsTruncated, list.NextMarker = true, last
			return "", false
		}
		count++
		if g := group(key, p); g != "" {
			list.AddPrefix(g)
			last = g
			return pastPrefix(g), true
		}
		list.Add(&gofakes3.Content{
			Key: key, LastModified: gofakes3.NewContentTime(v.Modified), ETag: gofakes3.FormatETag(v.MD5), Size: v.Size,
		})
		last = key
		return "", true
	})
	return list, err
}

func (o *objects) ListBucketVersions(bucket string, p *gofakes3.Prefix, page *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	if p == nil {
		p = &gofakes3.Prefix{}
	}
	if page == nil {
		page = &gofakes3.ListBucketVersionsPage{}
	}
	result := gofakes3.NewListBucketVersionsResult(bucket, p, page)
	count, lastKey, lastID := int64(0), "", gofakes3.VersionID("")
	err := o.walk(bucket, p.Prefix, page.KeyMarker, func(key string, versions []objectVersion) (string, bool) {
		if g := group(key, p); g != "" {
			if g > page.KeyMarker {
				result.AddPrefix(g)
			}
			return pastPrefix(g), true
		}
		skipping := key == page.KeyMarker
		for i, v := range versions {
			id := gofakes3.VersionID(v.ID)
			if id == "" {
				id = nullVersion
			}
			if skipping {
				skipping = id != page.VersionIDMarker
				continue
			}
			if page.MaxKeys > 0 && count == page.MaxKeys {
				result.IsTruncated, result.NextKeyMarker, result.NextVersionIDMarker = true, lastKey, lastID
				return "", false
			}
			count++
			lastKey, lastID = key, id
			modified := gofakes3.NewContentTime(v.Modified)
			if v.Deleted {
				result.Versions = append(result.Versions, &gofakes3.DeleteMarker{Key: key, VersionID: id, IsLatest: i == 0, LastModified: modified})
				continue
			}
			result.Versions = append(result.Versions, &gofakes3.Version{
				Key: key, VersionID: id, IsLatest: i == 0, LastModified: modified, Size: v.Size,
				StorageClass: gofakes3.StorageStandard, ETag: gofakes3.FormatETag(v.MD5),
			})
		}
		return "", true
	})
	return result, err
}

func (o *objects) VersioningConfiguration(bucket string) (gofakes3.VersioningConfiguration, error) {
	var c gofakes3.VersioningConfiguration
	bk, err := o.bucket(bucket)
	if err == nil && bk.versioned() {
		c.Status = gofakes3.VersioningEnabled
	}
	return c, err
}

// SetVersioningConfiguration accepts only what is so already.
func (o *objects) SetVersioningConfiguration(bucket string, c gofakes3.VersioningConfiguration) error {
	bk, err := o.bucket(bucket)
	if err != nil {
		return err
	}
	if bk.versioned() != (c.Status == gofakes3.VersioningEnabled) {
		return errDeclared
	}
	return nil
}
