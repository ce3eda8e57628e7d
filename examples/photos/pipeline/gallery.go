package pipeline

import (
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"path"
)

// Gallery answers GET /photos/cat (the page, as JSON) and /photos/cat/320.jpg.
// It shows what was made, never the photos themselves.
func Gallery(w http.ResponseWriter, r *http.Request) {
	name := path.Clean("/" + r.PathValue("path"))
	if path.Ext(name) != ".jpg" {
		name += "/index.json"
	}
	body, err := get(r.Context(), "out"+name)
	if errors.Is(err, errGone) {
		http.Error(w, "there is no such photo", http.StatusNotFound)
		return
	}
	if err != nil {
		slog.ErrorContext(r.Context(), "object not read", "error", err)
		http.Error(w, "the photo cannot be read", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "max-age=300")
	if _, err := w.Write(body); err != nil {
		slog.Warn("answer not written", "error", err)
	}
}
