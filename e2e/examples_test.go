package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExampleMeetings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/meetings")
	w.must(0, "deploy", "--yes")
	url := w.url()

	w.want(200, `{"name":"CEST","offset":"2h0m0s","summer":true,"time":"2026-03-29T03:00:00+02:00","zone":"Europe/Paris"}`,
		"GET", url+"/zones/Europe/Paris?at=2026-03-29T01:00:00Z", "")
	w.want(404, `{"error":"there is no time zone \"Moon\"; names are like Europe/Paris"}`, "GET", url+"/zones/Moon", "")
	w.want(200, `{"slots":[]}`, "POST", url+"/meetings", `{"date":"2026-01-15","zones":["America/Los_Angeles","Asia/Tokyo"],"from":9,"to":12}`)

	pre := w.call("OPTIONS", url+"/meetings", "", "Origin", "https://example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if got := pre.Header.Get("Access-Control-Allow-Origin"); pre.Status/100 != 2 || got != "*" {
		t.Errorf("preflight: want a 2xx that allows *, got %d %q", pre.Status, got)
	}
	if a := w.call("GET", url+"/elsewhere", ""); a.Status != 404 {
		t.Errorf("a path without a route: want 404, got %d", a.Status)
	}
	w.must(0, "remove", "--yes")
}

func TestExampleOrders(t *testing.T) {
	t.Parallel()
	need(t, "node")
	w := newWorld(t, "examples/orders")
	w.must(0, "deploy", "--yes")
	url := w.url()

	t.Run("an order is taken, packed and kept", func(t *testing.T) {
		w := w.in(t)
		a := w.call("POST", url+"/orders", `{"customer":"Ada","lines":[{"sku":"mug","quantity":2},{"sku":"poster"}]}`)
		if a.Status != 202 {
			t.Fatalf("POST /orders: %+v", a)
		}
		w.eventually("the packed order", func() string {
			got := w.call("GET", url+a.Header.Get("Location"), "").Body
			if !strings.Contains(got, `"total":3400,"status":"packed"`) && !(strings.Contains(got, `"total":3400`) && strings.Contains(got, `"status":"packed"`)) {
				return got
			}
			return ""
		})
	})
	t.Run("an order for what is not sold fails three times and is marked", func(t *testing.T) {
		w := w.in(t)
		a := w.call("POST", url+"/orders", `{"customer":"Bob","lines":[{"sku":"unicorn"}]}`)
		w.eventually("the failed order", func() string {
			got := w.call("GET", url+a.Header.Get("Location"), "").Body
			if !strings.Contains(got, `"status":"failed"`) {
				return got
			}
			return ""
		})
		if n := strings.Count(w.must(0, "logs", "fulfil").stdout, `no article "unicorn" in the catalogue`); n != 3 {
			t.Errorf("want 3 attempts in the log, got %d", n)
		}
	})
	t.Run("what is wrong is told", func(t *testing.T) {
		w := w.in(t)
		w.want(400, `{"error":"the body is not JSON"}`, "POST", url+"/orders", "{")
		w.want(400, `{"error":"\"lines\" must be a list that is not empty"}`, "POST", url+"/orders", `{"customer":"Ada"}`)
		w.want(404, `{"error":"there is no order nil"}`, "GET", url+"/orders/nil", "")
	})
	t.Run("a file of orders is taken in", func(t *testing.T) {
		w := w.in(t)
		w.call("PUT", w.object("files", "bulk/monday.csv"), "customer,sku,quantity\nEve,shirt,1\nEve,shirt,none\nMallory,mug,3\n")
		w.eventually("the file's orders in the log", func() string {
			log := w.must(0, "logs", "bulk").stdout
			if !strings.Contains(log, "file read") {
				return log
			}
			if !strings.Contains(log, "line 3: ") {
				t.Errorf("the log does not name the bad line:\n%s", log)
			}
			return ""
		})
	})
	t.Run("the report sums up what was packed", func(t *testing.T) {
		w := w.in(t)
		day := time.Now().UTC().Format(time.DateOnly)
		w.eventually("three packed orders in the report", func() string {
			w.must(0, "invoke", "report", "--trigger", "schedule")
			a := w.call("GET", w.object("files", "reports/"+day+".json"), "")
			if want := fmt.Sprintf(`{"day":"%s","packed":3,"total":9550}`, day); a.Body != want {
				return a.Body
			}
			return ""
		})
	})
	w.must(0, "remove", "--yes")
}

func TestExampleChatbot(t *testing.T) {
	t.Parallel()
	need(t, "python")
	w := newWorld(t, "examples/chatbot")
	set := w.command("secrets", "set", "WEBHOOK_SECRET")
	set.Stdin = strings.NewReader("s3cret\n")
	if r := w.finish(set); r.code != 0 {
		t.Fatalf("secrets set: %+v", r)
	}
	w.must(0, "deploy", "--yes")
	url := w.url()

	post := func(w *world, body, secret string) answer {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		return w.call("POST", url+"/webhook", body, "X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	t.Run("a wrong signature is refused", func(t *testing.T) {
		if a := post(w.in(t), `{"type":"ping"}`, "guess"); a.Status != 401 {
			t.Errorf("want 401, got %+v", a)
		}
	})
	t.Run("a ping is answered", func(t *testing.T) {
		if a := post(w.in(t), `{"type":"ping"}`, "s3cret"); a.Status != 200 || a.Body != `{"answer":"pong"}` {
			t.Errorf("want 200 and a pong, got %+v", a)
		}
	})
	t.Run("every message is kept and commands are answered", func(t *testing.T) {
		w := w.in(t)
		for i, text := range []string{"hello", "/choose tea", "/dance"} {
			body, _ := json.Marshal(map[string]string{"id": fmt.Sprintf("m%d", i+1), "channel": "games", "user": "ada", "text": text})
			if a := post(w, string(body), "s3cret"); a.Status != 202 {
				t.Fatalf("POST /webhook: %+v", a)
			}
		}
		w.answers(`{"messages":[{"user":"ada","text":"hello"},`+
			`{"user":"ada","text":"/choose tea"},{"user":"bot","text":"tea"},`+
			`{"user":"ada","text":"/dance"},{"user":"bot","text":"I know /roll 2d6, /choose tea coffee and /help"}]}`,
			url+"/channels/games")
	})
	t.Run("the secret is shown nowhere", func(t *testing.T) {
		w := w.in(t)
		for _, args := range [][]string{
			{"info", "--verbose"},
			{"info", "-o", "json"},
			{"preview", "--verbose"},
			{"stack", "export"},
			{"local", "status", "-o", "json"},
			{"secrets", "list"},
			{"logs", "webhook"},
		} {
			if r := w.must(0, args...); strings.Contains(r.stdout+r.stderr, "s3cret") {
				t.Errorf("anyfaas %s shows it:\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
			}
		}
		if out, err := exec.Command("grep", "-rla", "s3cret", filepath.Join(w.dir, ".anyfaas")).Output(); err == nil {
			t.Errorf("it lies in plain text in %s", out)
		}
	})
	w.must(0, "remove", "--yes")
}

func TestExamplePhotos(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "examples/photos")
	w.must(0, "deploy", "--yes")
	url := w.url()

	img := image.NewRGBA(image.Rect(0, 0, 640, 320))
	for x := range 640 {
		for y := range 320 {
			img.Set(x, y, color.RGBA{R: uint8(x / 3), G: uint8(y), A: 255})
		}
	}
	var photo bytes.Buffer
	if err := png.Encode(&photo, img); err != nil {
		t.Fatal(err)
	}

	t.Run("a photo becomes a page of thumbnails", func(t *testing.T) {
		w := w.in(t)
		w.call("PUT", w.object("photos", "in/trip/lake.png"), photo.String())
		w.answers(`{"photo":"trip-lake","thumbnails":["/photos/trip-lake/320.jpg","/photos/trip-lake/80.jpg"]}`, url+"/photos/trip-lake")
		a := w.call("GET", url+"/photos/trip-lake/320.jpg", "")
		if c, err := jpeg.DecodeConfig(strings.NewReader(a.Body)); err != nil || c.Width != 320 || c.Height != 160 {
			t.Errorf("want a JPEG of 320 by 160, got %d by %d, %v", c.Width, c.Height, err)
		}
		if got := a.Header.Get("Content-Type"); got != "image/jpeg" {
			t.Errorf("want content type image/jpeg, got %q", got)
		}
	})
	t.Run("a photo that is cut off ends in the dead-letter queue", func(t *testing.T) {
		w := w.in(t)
		w.call("PUT", w.object("photos", "in/half.png"), photo.String()[:photo.Len()/2])
		w.eventually("the dead letters", func() string {
			if n := w.waiting("broken"); n != 2 { // one for each size
				return fmt.Sprintf("%d messages in broken", n)
			}
			return ""
		})
	})
	t.Run("deleting the photo takes its thumbnails away", func(t *testing.T) {
		w := w.in(t)
		w.call("DELETE", w.object("photos", "in/trip/lake.png"), "")
		w.eventually("the end of the page", func() string {
			if a := w.call("GET", url+"/photos/trip-lake", ""); a.Status != 404 {
				return fmt.Sprintf("%d %s", a.Status, a.Body)
			}
			return ""
		})
	})
	w.must(0, "remove", "--yes")
}

// The examples are ordinary projects: their own tests pass with the ordinary
// tools of their languages, without this repository.
func TestExamplesAndTemplatesPassTheirOwnTests(t *testing.T) {
	for _, tt := range []struct {
		project string
		tool    string
		command []string
	}{
		{"examples/meetings", "", []string{"go", "test", "./..."}},
		{"examples/photos", "", []string{"go", "test", "./..."}},
		{"examples/three-languages", "", []string{"go", "vet", "./..."}},
		{"examples/chatbot", "python", []string{"python3", "-m", "unittest"}},
		{"templates/http-api/python", "python", []string{"python3", "-m", "unittest"}},
	} {
		t.Run(tt.project, func(t *testing.T) {
			t.Parallel()
			if tt.tool != "" {
				need(t, tt.tool)
			}
			dir := t.TempDir()
			copyProject(t, filepath.Join("..", filepath.FromSlash(tt.project)), dir)
			cmd := exec.Command(tt.command[0], tt.command[1:]...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", strings.Join(tt.command, " "), err, out)
			}
		})
	}
}
