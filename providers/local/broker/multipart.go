package broker

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"go.etcd.io/bbolt"
)

// An upload is an object that is being sent in parts.
type upload struct {
	Key     string                `json:"key"`
	Meta    map[string]string     `json:"meta,omitempty"`
	Started time.Time             `json:"started"`
	Parts   map[int]objectVersion `json:"parts,omitempty"`
}

// upload loads an upload in a transaction and lets do change it; do returning
// nil deletes it.
func (o *objects) upload(bucket, key string, id gofakes3.UploadID, do func(upload) (*upload, error)) error {
	return o.db.Update(func(tx *bbolt.Tx) error {
		all := tx.Bucket(uploadsBucket).Bucket([]byte(bucket))
		if all == nil {
			return gofakes3.BucketNotFound(bucket)
		}
		var u upload
		value := all.Get([]byte(id))
		if value == nil {
			return gofakes3.ErrNoSuchUpload
		}
		if err := json.Unmarshal(value, &u); err != nil {
			return err
		}
		if u.Key != key {
			return gofakes3.ErrNoSuchUpload
		}
		changed, err := do(u)
		if err != nil {
			return err
		}
		if changed == nil {
			return all.Delete([]byte(id))
		}
		value, err = json.Marshal(changed)
		if err != nil {
			return err
		}
		return all.Put([]byte(id), value)
	})
}

func (o *objects) CreateMultipartUpload(bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	id := gofakes3.UploadID(newID())
	value, err := json.Marshal(upload{Key: key, Meta: kept(meta), Started: time.Now().UTC()})
	if err != nil {
		return "", err
	}
	return id, o.db.Update(func(tx *bbolt.Tx) error {
		all := tx.Bucket(uploadsBucket).Bucket([]byte(bucket))
		if all == nil {
			return gofakes3.BucketNotFound(bucket)
		}
		return all.Put([]byte(id), value)
	})
}

func (o *objects) UploadPart(bucket, key string, id gofakes3.UploadID, part int, _ int64, input io.Reader) (string, error) {
	if _, err := o.bucket(bucket); err != nil {
		return "", err
	}
	v, err := o.write(bucket, input)
	if err != nil {
		return "", err
	}
	replaced := ""
	err = o.upload(bucket, key, id, func(u upload) (*upload, error) {
		if u.Parts == nil {
			u.Parts = map[int]objectVersion{}
		}
		replaced = u.Parts[part].File
		u.Parts[part] = v
		return &u, nil
	})
	if err != nil {
		o.discard(bucket, v.File)
		return "", err
	}
	if replaced != "" {
		o.discard(bucket, replaced)
	}
	return gofakes3.FormatETag(v.MD5), nil
}

func (o *objects) AbortMultipartUpload(bucket, key string, id gofakes3.UploadID) error {
	var files []string
	err := o.upload(bucket, key, id, func(u upload) (*upload, error) {
		for _, p := range u.Parts {
			files = append(files, p.File)
		}
		return nil, nil
	})
	if err == nil {
		o.discard(bucket, files...)
	}
	return err
}

// CompleteMultipartUpload joins the parts that were named. The ETag of the
// object is the MD5 of its bytes, as for an object that came in one piece.
func (o *objects) CompleteMultipartUpload(bucket, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	var u upload
	err := o.upload(bucket, key, id, func(have upload) (*upload, error) {
		u = have
		return &have, nil
	})
	if err != nil {
		return "", "", err
	}
	var names []string
	for i, p := range in.Parts {
		have, ok := u.Parts[p.PartNumber]
		if !ok || strings.Trim(p.ETag, `"`) != hex.EncodeToString(have.MD5) {
			return "", "", gofakes3.ErrInvalidPart
		}
		if i > 0 && in.Parts[i-1].PartNumber >= p.PartNumber {
			return "", "", gofakes3.ErrInvalidPartOrder
		}
		names = append(names, have.File)
	}
	if len(names) == 0 {
		return "", "", gofakes3.ErrInvalidPart
	}
	whole := &parts{open: func(i int) (io.ReadCloser, error) { return os.Open(o.path(bucket, names[i])) }, count: len(names)}
	v, err := o.write(bucket, whole)
	if err = errors.Join(err, whole.close()); err != nil {
		return "", "", err
	}
	v.Meta = u.Meta
	if err := o.add(bucket, key, &v, nil); err != nil {
		return "", "", err
	}
	// Should the process die right here, the upload stays until it is aborted.
	return gofakes3.VersionID(v.ID), gofakes3.FormatETag(v.MD5), o.AbortMultipartUpload(bucket, key, id)
}

// Parts read one file after another.
type parts struct {
	open  func(int) (io.ReadCloser, error)
	count int
	next  int
	file  io.ReadCloser
}

func (p *parts) Read(b []byte) (int, error) {
	for {
		if p.file == nil {
			if p.next == p.count {
				return 0, io.EOF
			}
			f, err := p.open(p.next)
			if err != nil {
				return 0, err
			}
			p.file = f
			p.next++
		}
		n, err := p.file.Read(b)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := p.close(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (p *parts) close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

func (o *objects) ListMultipartUploads(bucket string, marker *gofakes3.UploadListMarker, prefix gofakes3.Prefix, limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	result := &gofakes3.ListMultipartUploadsResult{Bucket: bucket, Prefix: prefix.Prefix, MaxUploads: limit}
	var list []gofakes3.ListMultipartUploadItem
	err := o.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(uploadsBucket).Bucket([]byte(bucket))
		if all == nil {
			return gofakes3.BucketNotFound(bucket)
		}
		return all.ForEach(func(id, value []byte) error {
			var u upload
			if err := json.Unmarshal(value, &u); err != nil {
				return err
			}
			if strings.HasPrefix(u.Key, prefix.Prefix) {
				list = append(list, gofakes3.ListMultipartUploadItem{Key: u.Key, UploadID: gofakes3.UploadID(id), Initiated: gofakes3.NewContentTime(u.Started)})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	order := func(a, b gofakes3.ListMultipartUploadItem) int {
		if d := strings.Compare(a.Key, b.Key); d != 0 {
			return d
		}
		return strings.Compare(string(a.UploadID), string(b.UploadID)) // they grow with time
	}
	slices.SortFunc(list, order)
	if marker != nil {
		from := gofakes3.ListMultipartUploadItem{Key: marker.Object, UploadID: marker.UploadID}
		list = slices.DeleteFunc(list, func(u gofakes3.ListMultipartUploadItem) bool {
			return order(u, from) <= 0 || marker.UploadID == "" && u.Key == marker.Object
		})
	}
	if int64(len(list)) > limit && limit > 0 {
		list = list[:limit]
		result.IsTruncated = true
		result.NextKeyMarker, result.NextUploadIDMarker = list[limit-1].Key, list[limit-1].UploadID
	}
	result.Uploads = list
	return result, nil
}

func (o *objects) ListParts(bucket, key string, id gofakes3.UploadID, marker int, limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	result := &gofakes3.ListMultipartUploadPartsResult{Bucket: bucket, Key: key, UploadID: id, PartNumberMarker: marker, MaxParts: limit}
	var u upload
	err := o.upload(bucket, key, id, func(have upload) (*upload, error) {
		u = have
		return &have, nil
	})
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Sorted(maps.Keys(u.Parts)) {
		if n <= marker {
			continue
		}
		if int64(len(result.Parts)) == limit && limit > 0 {
			result.IsTruncated = true
			result.NextPartNumberMarker = result.Parts[limit-1].PartNumber
			break
		}
		p := u.Parts[n]
		result.Parts = append(result.Parts, gofakes3.ListMultipartUploadPartItem{
			PartNumber: n, Size: p.Size, ETag: gofakes3.FormatETag(p.MD5), LastModified: gofakes3.NewContentTime(p.Modified),
		})
	}
	return result, nil
}
