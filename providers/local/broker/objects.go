package broker

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"go.etcd.io/bbolt"
)

// Objects are the contents of all buckets: an index in the record file, and one
// plain file per object version. A change of the index and the events it
// causes are one transaction. It implements the storage of gofakes3.
//
// Buckets come and go with the resources of a stack only; over the S3 API they
// can be neither made nor deleted.
type objects struct {
	b   *Broker
	db  *bbolt.DB
	out *outbox
	dir string
}

// An objectVersion is one version of an object, or the mark that it was deleted.
type objectVersion struct {
	ID       string            `json:"id,omitempty"` // "" in a bucket without versions
	Deleted  bool              `json:"deleted,omitempty"`
	File     string            `json:"file,omitempty"`
	Size     int64             `json:"size"`
	MD5      []byte            `json:"md5,omitempty"`
	Modified time.Time         `json:"modified"`
	Meta     map[string]string `json:"meta,omitempty"`
}

func (o *objects) path(bucket, file string) string { return filepath.Join(o.dir, bucket, file) }

// bucket returns the resource behind a physical name.
func (o *objects) bucket(name string) (*bucket, error) {
	bk := o.b.bucketByName(name)
	if bk == nil {
		return nil, gofakes3.BucketNotFound(name)
	}
	return bk, nil
}

// write copies a body to a new file, which is on the disk when it returns.
func (o *objects) write(bucket string, body io.Reader) (v objectVersion, err error) {
	v = objectVersion{File: newID(), Modified: time.Now().UTC().Truncate(time.Second)}
	f, err := os.OpenFile(o.path(bucket, v.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return v, err
	}
	sum := md5.New()
	v.Size, err = io.Copy(io.MultiWriter(f, sum), body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		o.discard(bucket, v.File)
		return v, err
	}
	v.MD5 = sum.Sum(nil)
	return v, nil
}

// discard deletes a file that the index does not name, or no longer. A file
// that cannot be deleted now is found when the bucket is opened again.
func (o *objects) discard(bucket string, files ...string) {
	for _, f := range files {
		if err := os.Remove(o.path(bucket, f)); err != nil && !errors.Is(err, os.ErrNotExist) {
			o.b.log.Warn("cannot delete a file of a bucket", "bucket", bucket, "error", err)
		}
	}
}

// versions loads the versions of an object, newest first.
func versions(tx *bbolt.Tx, bucket, key string) ([]objectVersion, error) {
	index := tx.Bucket(objectsBucket).Bucket([]byte(bucket))
	if index == nil {
		return nil, gofakes3.BucketNotFound(bucket)
	}
	value := index.Get([]byte(key))
	if value == nil {
		return nil, nil
	}
	var list []objectVersion
	return list, json.Unmarshal(value, &list)
}

// visible returns the version that a plain GET sees.
func visible(list []objectVersion) *objectVersion {
	if len(list) == 0 || list[0].Deleted {
		return nil
	}
	return &list[0]
}

// change replaces the versions of an object and puts the events of it into the
// outbox; added is the version that edit adds, nil for none. It then deletes
// the files that edit says are no longer needed.
func (o *objects) change(bucket, key string, added *objectVersion, edit func(versioned bool, old []objectVersion) (list []objectVersion, unused []string, err error)) error {
	bk, err := o.bucket(bucket)
	if err != nil {
		return err
	}
	var files []string
	told := false
	err = o.db.Update(func(tx *bbolt.Tx) error {
		old, err := versions(tx, bucket, key)
		if err != nil {
			return err
		}
		list, unused, err := edit(bk.versioned(), old)
		if err != nil {
			return err
		}
		files = unused
		index := tx.Bucket(objectsBucket).Bucket([]byte(bucket))
		if len(list) == 0 {
			err = index.Delete([]byte(key))
		} else {
			var value []byte
			if value, err = json.Marshal(list); err == nil {
				err = index.Put([]byte(key), value)
			}
		}
		if err != nil {
			return err
		}
		told, err = bk.tell(tx, o.out, key, added, visible(old), visible(list))
		return err
	})
	if err != nil {
		return err
	}
	o.discard(bucket, files...)
	if told {
		o.out.wake()
	}
	return nil
}

// add makes v the newest version of an object.
func (o *objects) add(bucket, key string, v *objectVersion, conditions *gofakes3.PutConditions) error {
	err := o.change(bucket, key, v, func(versioned bool, old []objectVersion) (list []objectVersion, unused []string, err error) {
		if conditions != nil {
			have := &gofakes3.ConditionalObjectInfo{}
			if current := visible(old); current != nil {
				have.Exists, have.Hash = true, current.MD5
			}
			if err := gofakes3.CheckPutConditions(conditions, have); err != nil {
				return nil, nil, err
			}
		}
		if versioned {
			v.ID = newID()
			return append([]objectVersion{*v}, old...), nil, nil
		}
		list = []objectVersion{*v}
		for _, e := range old {
			if e.ID != "" {
				list = append(list, e) // of a time when the bucket had versions
			} else if e.File != "" {
				unused = append(unused, e.File)
			}
		}
		return list, unused, nil
	})
	if err != nil {
		o.discard(bucket, v.File)
	}
	return err
}

// PutObject stores an object. It reads to the end and does without size.
func (o *objects) PutObject(bucket, key string, meta map[string]string, input io.Reader, _ int64, conditions *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	v, err := o.write(bucket, input)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	v.Meta = kept(meta)
	err = o.add(bucket, key, &v, conditions)
	return gofakes3.PutObjectResult{VersionID: gofakes3.VersionID(v.ID)}, err
}

// kept returns the headers that belong to an object rather than to a request.
func kept(meta map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range meta {
		if strings.HasPrefix(k, "X-Amz-Meta-") || !strings.HasPrefix(k, "X-Amz-") {
			out[k] = v
		}
	}
	delete(out, "Last-Modified")
	return out
}

func (o *objects) CopyObject(srcBucket, srcKey, dstBucket, dstKey string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	var result gofakes3.CopyObjectResult
	src, err := o.GetObject(srcBucket, srcKey, nil)
	if err != nil {
		return result, err
	}
	defer src.Contents.Close()
	v, err := o.write(dstBucket, src.Contents)
	if err != nil {
		return result, err
	}
	v.Meta = kept(meta)
	if err := o.add(dstBucket, dstKey, &v, nil); err != nil {
		return result, err
	}
	return gofakes3.CopyObjectResult{ETag: gofakes3.FormatETag(v.MD5), LastModified: gofakes3.NewContentTime(v.Modified)}, nil
}

// find returns a version of an object; "" means the newest.
func (o *objects) find(bucket, key, id string) (*objectVersion, error) {
	var found *objectVersion
	err := o.db.View(func(tx *bbolt.Tx) error {
		list, err := versions(tx, bucket, key)
		if err != nil {
			return err
		}
		for i, v := range list {
			if id == "" || v.ID == id || id == nullVersion && v.ID == "" {
				found = &list[i]
				return nil
			}
		}
		if id != "" && len(list) > 0 {
			return gofakes3.ErrNoSuchVersion
		}
		return gofakes3.KeyNotFound(key)
	})
	return found, err
}

// nullVersion is how S3 names the version of a bucket without versions.
const nullVersion = "null"

func (o *objects) GetObject(bucket, key string, rng *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	return o.GetObjectVersion(bucket, key, "", rng)
}

func (o *objects) GetObjectVersion(bucket, key string, id gofakes3.VersionID, rng *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	v, err := o.find(bucket, key, string(id))
	if err != nil {
		return nil, err
	}
	if v.Deleted {
		return v.describe(key), nil
	}
	out := v.describe(key)
	if out.Range, err = rng.Range(v.Size); err != nil {
		return nil, err
	}
	f, err := os.Open(o.path(bucket, v.File))
	if err != nil {
		return nil, err
	}
	out.Contents = f
	if out.Range != nil {
		section := io.NewSectionReader(f, out.Range.Start, out.Range.Length)
		out.Contents = struct {
			io.Reader
			io.Closer
		}{section, f}
	}
	return out, nil
}

func (o *objects) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	return o.HeadObjectVersion(bucket, key, "")
}

func (o *objects) HeadObjectVersion(bucket, key string, id gofakes3.VersionID) (*gofakes3.Object, error) {
	v, err := o.find(bucket, key, string(id))
	if err != nil {
		return nil, err
	}
	return v.describe(key), nil
}

// describe returns an object without its contents.
func (v objectVersion) describe(key string) *gofakes3.Object {
	meta := map[string]string{"Last-Modified": v.Modified.Format("Mon, 02 Jan 2006 15:04:05") + " GMT"}
	for k, value := range v.Meta {
		meta[k] = value
	}
	return &gofakes3.Object{
		Name: key, Metadata: meta, Size: v.Size, Hash: v.MD5, VersionID: gofakes3.VersionID(v.ID),
		IsDeleteMarker: v.Deleted, Contents: io.NopCloser(bytes.NewReader(nil)),
	}
}

func (o *objects) DeleteObject(bucket, key string) (result gofakes3.ObjectDeleteResult, err error) {
	err = o.change(bucket, key, nil, func(versioned bool, old []objectVersion) (list []objectVersion, unused []string, err error) {
		if versioned {
			mark := objectVersion{ID: newID(), Deleted: true, Modified: time.Now().UTC().Truncate(time.Second)}
			result = gofakes3.ObjectDeleteResult{IsDeleteMarker: true, VersionID: gofakes3.VersionID(mark.ID)}
			return append([]objectVersion{mark}, old...), nil, nil
		}
		for _, v := range old {
			if v.ID != "" {
				list = append(list, v)
			} else if v.File != "" {
				unused = append(unused, v.File)
			}
		}
		return list, unused, nil
	})
	return result, err
}

func (o *objects) DeleteObjectVersion(bucket, key string, id gofakes3.VersionID) (result gofakes3.ObjectDeleteResult, err error) {
	err = o.change(bucket, key, nil, func(_ bool, old []objectVersion) (list []objectVersion, unused []string, err error) {
		for _, v := range old {
			if v.ID != string(id) && (id != nullVersion || v.ID != "") {
				list = append(list, v)
				continue
			}
			result = gofakes3.ObjectDeleteResult{IsDeleteMarker: v.Deleted, VersionID: id}
			if v.File != "" {
				unused = append(unused, v.File)
			}
		}
		return list, unused, nil
	})
	return result, err
}

func (o *objects) DeleteMulti(bucket string, keys ...string) (result gofakes3.MultiDeleteResult, err error) {
	ids := make([]gofakes3.ObjectID, len(keys))
	for i, k := range keys {
		ids[i].Key = k
	}
	return o.DeleteMultiVersions(bucket, ids...)
}

func (o *objects) DeleteMultiVersions(bucket string, ids ...gofakes3.ObjectID) (result gofakes3.MultiDeleteResult, err error) {
	if _, err := o.bucket(bucket); err != nil {
		return result, err
	}
	for _, id := range ids {
		if id.VersionID == "" {
			_, err = o.DeleteObject(bucket, id.Key)
		} else {
			_, err = o.DeleteObjectVersion(bucket, id.Key, gofakes3.VersionID(id.VersionID))
		}
		if err != nil {
			e := gofakes3.ErrorResultFromError(err)
			e.Key = id.Key
			result.Error = append(result.Error, e)
			continue
		}
		result.Deleted = append(result.Deleted, id)
	}
	return result, nil
}
