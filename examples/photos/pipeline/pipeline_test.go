package pipeline

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A world is a bucket, a queue and a topic in memory, behind the URLs that a
// deployed function would find in its environment.
type world struct {
	mu      sync.Mutex
	objects map[string][]byte
	sent    []string // "queue {…}", "topic {…}"
}

func newWorld(t *testing.T) *world {
	w := &world{objects: map[string][]byte{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	t.Setenv("BUCKET_PHOTOS_URL", s.URL+"/bucket")
	t.Setenv("QUEUE_RESIZE_URL", s.URL+"/queue")
	t.Setenv("TOPIC_THUMBNAILS_URL", s.URL+"/topic")
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	key, isObject := strings.CutPrefix(r.URL.Path, "/bucket/")
	switch {
	case r.Method == http.MethodPost:
		w.sent = append(w.sent, strings.TrimPrefix(r.URL.Path, "/")+" "+string(body))
	case !isObject:
		type content struct{ Key string }
		var page struct {
			XMLName  xml.Name `xml:"ListBucketResult"`
			Contents []content
		}
		for key := range w.objects {
			if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				page.Contents = append(page.Contents, content{key})
			}
		}
		slices.SortFunc(page.Contents, func(a, b content) int { return strings.Compare(a.Key, b.Key) })
		_ = xml.NewEncoder(rw).Encode(page)
	case r.Method == http.MethodPut:
		w.objects[key] = body
	case r.Method == http.MethodDelete:
		delete(w.objects, key)
	case w.objects[key] == nil:
		http.NotFound(rw, r)
	default:
		_, _ = rw.Write(w.objects[key])
	}
}

func picture(width, height int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			img.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), A: 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func created(key string) (e ObjectEvent) {
	e.Data.Key = key
	return e
}

func TestPlanQueuesOneJobForEachSizeBelowThePhoto(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
		want  []string
	}{
		{"a large photo", 2000, []string{`queue {"key":"in/p","width":80}`, `queue {"key":"in/p","width":320}`, `queue {"key":"in/p","width":1280}`}},
		{"a middling photo", 320, []string{`queue {"key":"in/p","width":80}`}},
		{"a tiny photo is kept as it is", 10, []string{`queue {"key":"in/p","width":10}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.objects["in/p"] = picture(tt.width, 4)
			if err := Plan(context.Background(), created("in/p")); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(w.sent, tt.want) {
				t.Errorf("want %q\ngot  %q", tt.want, w.sent)
			}
		})
	}
}

func TestPlanLeavesAloneWhatIsNoPhoto(t *testing.T) {
	w := newWorld(t)
	w.objects["in/notes.txt"] = []byte("milk, eggs")
	for _, key := range []string{"in/notes.txt", "in/removed.jpg"} {
		if err := Plan(context.Background(), created(key)); err != nil || len(w.sent) > 0 {
			t.Errorf("%s: want no job and no error, got %q, %v", key, w.sent, err)
		}
	}
}

func TestAPhotoBecomesAThumbnailAPageAndNothingAgain(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.objects["in/trip/cat.png"] = picture(200, 100)

	var job JobEvent
	job.Data.Body = Job{Key: "in/trip/cat.png", Width: 80}
	if err := Resize(ctx, job); err != nil {
		t.Fatal(err)
	}
	small, err := jpeg.DecodeConfig(bytes.NewReader(w.objects["out/trip-cat/80.jpg"]))
	if err != nil || small.Width != 80 || small.Height != 40 {
		t.Errorf("want a JPEG of 80 by 40, got %d by %d, %v", small.Width, small.Height, err)
	}
	want := []string{`topic {"photo":"trip-cat","key":"out/trip-cat/80.jpg","width":80,"height":40}`}
	if !slices.Equal(w.sent, want) {
		t.Errorf("want %q\ngot  %q", want, w.sent)
	}

	var made ThumbnailEvent
	made.Data.Body.Photo = "trip-cat"
	if err := Index(ctx, made); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "/photos/trip-cat", nil)
	req.SetPathValue("path", "trip-cat")
	Gallery(rec, req)
	if got, want := fmt.Sprint(rec.Code, " ", rec.Body), `200 {"photo":"trip-cat","thumbnails":["/photos/trip-cat/80.jpg"]}`; got != want {
		t.Errorf("want %s\ngot  %s", want, got)
	}

	if err := Clean(ctx, created("in/trip/cat.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := get(ctx, "out/trip-cat/index.json"); !errors.Is(err, errGone) {
		t.Errorf("want the page gone, got %v", err)
	}
}

func TestResizeFailsOnAPhotoThatIsCutOff(t *testing.T) {
	w := newWorld(t)
	w.objects["in/half.png"] = picture(200, 100)[:300]
	var job JobEvent
	job.Data.Body = Job{Key: "in/half.png", Width: 80}
	if err := Resize(context.Background(), job); err == nil || len(w.sent) > 0 {
		t.Errorf("want an error and no thumbnail, got %v, %q", err, w.sent)
	}
}

func TestShrinkAverages(t *testing.T) {
	img := image.NewGray(image.Rect(3, 5, 7, 7)) // bounds need not begin at zero
	for i := range img.Pix {
		img.Pix[i] = uint8(i * 20)
	}
	small := shrink(img, 2)
	if got := small.Bounds(); got != image.Rect(0, 0, 2, 1) {
		t.Fatalf("want 2 by 1, got %v", got)
	}
	// 0 20 | 40 60
	// 80 100 | 120 140
	for x, want := range []uint8{50, 90} {
		if got := small.RGBAAt(x, 0).R; got != want {
			t.Errorf("pixel %d: want %d, got %d", x, want, got)
		}
	}
}
