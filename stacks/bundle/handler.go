package bundle

import (
	"path"
	"strings"
)

// A handlerRef is one handler of a function: which setting names it, and how.
type handlerRef struct {
	setting string // "handler", "handler.http" or "handler.event", for positions
	kind    string // "http" or "event"
	text    string // as written: "src/api.handler"
}

// handlers returns the handlers of the job's function, at least one.
func (j *job) handlers() ([]handlerRef, error) {
	var refs []handlerRef
	if h := j.fn.HTTPHandler; h != "" {
		refs = append(refs, handlerRef{"handler.http", "http", h})
	}
	if h := j.fn.EventHandler; h != "" {
		refs = append(refs, handlerRef{"handler.event", "event", h})
	}
	if len(refs) == 0 {
		j.diags.Errorf(j.fn.Position.At("handler"), CodeHandlerForm, "function %q has no handler", j.fn.Name)
		return nil, errDiagnosed
	}
	for _, r := range refs {
		clean := path.Clean(r.text)
		if r.text == "" || path.IsAbs(r.text) || strings.Contains(r.text, `\`) || clean == ".." || strings.HasPrefix(clean, "../") {
			j.diags.Errorf(j.fn.Position.At(r.setting), CodeHandlerForm, "handler %q must be a path below the manifest's folder and a name, like src/api.handler", r.text)
			return nil, errDiagnosed
		}
	}
	return refs, nil
}

// split returns the path and the name of a handler: "src/api" and "handler". The
// name is "" when the last part of the path has no dot.
func (r handlerRef) split() (file, name string) {
	dir, last := path.Split(path.Clean(r.text))
	if i := strings.LastIndexByte(last, '.'); i > 0 {
		return dir + last[:i], last[i+1:]
	}
	return dir + last, ""
}
