// Package pipeline makes thumbnails: a photo put into a bucket is measured, a
// queue spreads the resizing over workers, a topic tells of each thumbnail, and
// a page in the same bucket shows what there is.
//
//	in/cat.jpg ─created→ Plan ─queue→ Resize ─topic→ Index ─→ out/cat/index.json
//	                                     └─→ out/cat/320.jpg
package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif"
	"image/jpeg"
	_ "image/png"
	"log/slog"
	"path"
	"strings"
)

// sizes are the widths made of every photo, in pixels.
var sizes = []int{80, 320, 1280}

// limit keeps a small file that claims to be an enormous picture from eating
// the function's memory: four bytes for each pixel.
const limit = 40_000_000

// A Job asks for one thumbnail.
type Job struct {
	Key   string `json:"key"`   // of the photo: "in/cat.jpg"
	Width int    `json:"width"` // of the thumbnail
}

// A Thumbnail tells that one was made.
type Thumbnail struct {
	Photo  string `json:"photo"` // "cat"
	Key    string `json:"key"`   // "out/cat/320.jpg"
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// An ObjectEvent is what a storage trigger hands over.
type ObjectEvent struct {
	ID   string
	Data struct{ Key string }
}

// A JobEvent is what the queue hands over.
type JobEvent struct {
	ID            string
	DeliveryCount int
	Data          struct{ Body Job }
}

// A ThumbnailEvent is what the topic hands over.
type ThumbnailEvent struct {
	ID   string
	Data struct{ Body Thumbnail }
}

// Plan looks at a photo's measures, which are in its first bytes, and queues a
// job for each size below its own. What is no photo is left alone: trying again
// would not make it one.
func Plan(ctx context.Context, e ObjectEvent) error {
	data, err := get(ctx, e.Data.Key)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || c.Width*c.Height > limit {
		slog.WarnContext(ctx, "not a photo to work on", "key", e.Data.Key, "error", err, "width", c.Width, "height", c.Height)
		return nil
	}
	jobs := 0
	for _, width := range sizes {
		if width >= c.Width && jobs > 0 {
			break
		}
		if err := enqueue(ctx, Job{Key: e.Data.Key, Width: min(width, c.Width)}); err != nil {
			return err
		}
		jobs++
	}
	slog.InfoContext(ctx, "planned", "key", e.Data.Key, "format", format, "jobs", jobs)
	return nil
}

// Resize makes one thumbnail. A photo that is cut off fails here, comes back
// a little later, and after three times ends in the queue "broken".
func Resize(ctx context.Context, e JobEvent) error {
	job := e.Data.Body
	data, err := get(ctx, job.Key)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	photo, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%s: %w", job.Key, err)
	}
	small := shrink(photo, job.Width)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 85}); err != nil {
		return err
	}
	t := Thumbnail{Photo: photoName(job.Key), Width: small.Rect.Dx(), Height: small.Rect.Dy()}
	t.Key = fmt.Sprintf("out/%s/%d.jpg", t.Photo, job.Width)
	if err := put(ctx, t.Key, "image/jpeg", out.Bytes()); err != nil {
		return err
	}
	slog.InfoContext(ctx, "resized", "key", t.Key, "bytes", out.Len(), "attempt", e.DeliveryCount)
	return publish(ctx, t)
}

// Index writes the photo's page from what lies in the bucket, not from what the
// event tells: events may come twice and in any order, the bucket is right.
func Index(ctx context.Context, e ThumbnailEvent) error {
	photo := e.Data.Body.Photo
	keys, err := list(ctx, "out/"+photo+"/")
	if err != nil {
		return err
	}
	page := struct {
		Photo      string   `json:"photo"`
		Thumbnails []string `json:"thumbnails"`
	}{Photo: photo, Thumbnails: []string{}}
	for _, key := range keys {
		if path.Ext(key) == ".jpg" {
			page.Thumbnails = append(page.Thumbnails, "/photos/"+strings.TrimPrefix(key, "out/"))
		}
	}
	body, err := json.Marshal(page)
	if err != nil {
		return err
	}
	return put(ctx, "out/"+photo+"/index.json", "application/json", body)
}

// Clean takes everything made of a deleted photo away.
func Clean(ctx context.Context, e ObjectEvent) error {
	keys, err := list(ctx, "out/"+photoName(e.Data.Key)+"/")
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := remove(ctx, key); err != nil {
			return err
		}
	}
	slog.InfoContext(ctx, "cleaned", "photo", photoName(e.Data.Key), "objects", len(keys))
	return nil
}

// photoName is "cat" for "in/cat.jpg" and "trip-cat" for "in/trip/cat.jpg".
func photoName(key string) string {
	name := strings.TrimPrefix(key, "in/")
	return strings.ReplaceAll(strings.TrimSuffix(name, path.Ext(name)), "/", "-")
}
