// Package engine runs Pulumi programs inside this process: the deployment engine
// of Pulumi, programs and resource types of our own without plugins, a journal
// that survives being killed, an exclusive lock, secrets and history, all in
// Pulumi's file layout so that the pulumi command of the same version can read
// it. It is the only importer of github.com/pulumi/pulumi/pkg/v3 and knows
// nothing about manifests, clouds or terminals.
package engine

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/anyfaas/anyfaas/stacks"
)

// Options of an Engine. The zero value keeps the state below the current folder.
type Options struct {
	ProjectDir string // folder of the manifest
	// URL says where the state is: "" for .anyfaas/state in ProjectDir, else
	// file://DIR, s3://BUCKET/DIR, gs://BUCKET/DIR or azblob://CONTAINER/DIR.
	URL     string
	Env     func(string) string // environment variables; nil means the process's own
	Program string              // recorded in the history, "anyfaas 1.2.0"
}

// An Engine runs programs against one state. Its methods may be called from
// several goroutines; operations that change the same stack exclude each other.
type Engine struct {
	o    Options
	ring *keyring

	mu    sync.Mutex
	store store
	dir   string
}

var (
	_ stacks.Engine      = (*Engine)(nil)
	_ stacks.SecretStore = (*Engine)(nil)
)

// New returns an engine. It reads and creates nothing yet, but refuses a URL of
// an unknown kind.
func New(o Options) (*Engine, error) {
	if o.ProjectDir == "" {
		o.ProjectDir = "."
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	e := &Engine{o: o}
	dir, err := locate(o.ProjectDir, o.URL)
	if err != nil {
		return nil, err
	}
	e.dir = dir
	e.ring = &keyring{env: o.Env, dir: dir}
	return e, nil
}

// open returns the store after checking that the stack can have a place in it.
func (e *Engine) open(ctx context.Context, id stacks.ID) (store, error) {
	if err := tokens.ValidateProjectName(id.Service); err != nil {
		return nil, fmt.Errorf("service %q: %w", id.Service, err)
	}
	if _, err := tokens.ParseStackName(id.StackName()); err != nil {
		return nil, fmt.Errorf("stack %q: %w", id.StackName(), err)
	}
	return e.openAny(ctx)
}

// openAny opens the store once.
func (e *Engine) openAny(ctx context.Context) (store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.store == nil {
		s, err := openStore(ctx, e.o.ProjectDir, e.o.URL, e.o.Env)
		if err != nil {
			return nil, err
		}
		e.store = s
	}
	return e.store, nil
}
