package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Times of a key set.
const (
	keysFresh   = 10 * time.Minute // read again after
	keysPause   = 5 * time.Second  // at least between two reads
	keysTimeout = 5 * time.Second  // of one read
	keysSize    = 1 << 20
)

// A keySet holds the public keys of an issuer. They are read at the first use,
// now and then after that, and when a token names a key that is not there. Old
// keys stay in use while the issuer cannot be reached.
type keySet struct {
	issuer string // for discovery; used when source is ""
	source string // URL or file of the keys
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex // held while reading, so that one read serves all
	keys    []jose.JSONWebKey
	read    time.Time // last success
	tried   time.Time // last attempt
	lastErr error
}

func newKeySet(issuer, source string) (*keySet, error) {
	k := &keySet{issuer: issuer, source: source, client: &http.Client{Timeout: keysTimeout}, now: time.Now}
	location := source
	if location == "" {
		location = issuer
	}
	if !isFile(location) {
		if u, err := url.Parse(location); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, invalid("jwt: %q is neither an http(s) URL nor an absolute file", location)
		}
	}
	return k, nil
}

// isFile reports whether s names a file and not a URL.
func isFile(s string) bool { return filepath.IsAbs(s) || strings.HasPrefix(s, "file://") }

// find returns the keys that may have signed a token: the one it names, or all
// when it names none.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	paused := now.Sub(k.tried) < keysPause
	found := k.match(id)
	if (len(found) == 0 || now.Sub(k.read) > keysFresh) && !paused {
		k.tried = now
		// One client that goes away shall not spoil it for those who wait.
		keys, err := k.load(context.WithoutCancel(ctx))
		k.lastErr = err
		if err == nil {
			k.keys, k.read = keys, now
			found = k.match(id)
		}
	}
	if len(found) == 0 && k.lastErr != nil {
		return nil, &keysUnavailable{k.lastErr}
	}
	return found, nil
}

func (k *keySet) match(id string) []jose.JSONWebKey {
	if id == "" {
		return k.keys
	}
	var found []jose.JSONWebKey
	for _, key := range k.keys {
		if key.KeyID == id {
			found = append(found, key)
		}
	}
	return found
}

// load reads the public signing keys.
func (k *keySet) load(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	source := k.source
	if source == "" {
		var err error
		if source, err = k.discover(ctx); err != nil {
			return nil, err
		}
	}
	var set jose.JSONWebKeySet
	if err := k.fetch(ctx, source, &set); err != nil {
		return nil, err
	}
	keys := make([]jose.JSONWebKey, 0, len(set.Keys))
	for _, key := range set.Keys {
		if key.Use != "" && key.Use != "sig" || !key.Valid() || !asymmetric(key) {
			continue
		}
		keys = append(keys, key.Public())
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no signing key", source)
	}
	return keys, nil
}

// asymmetric reports whether key is not a shared secret, which must not be used
// even if somebody publishes one.
func asymmetric(key jose.JSONWebKey) bool {
	_, secret := key.Key.([]byte)
	return !secret
}

// discover asks the issuer where its keys are.
func (k *keySet) discover(ctx context.Context) (string, error) {
	location := strings.TrimSuffix(k.issuer, "/") + "/.well-known/openid-configuration"
	var doc struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.fetch(ctx, location, &doc); err != nil {
		return "", err
	}
	if doc.Issuer != k.issuer {
		return "", fmt.Errorf("%s names another issuer, %q", location, doc.Issuer)
	}
	if doc.Keys == "" || isFile(doc.Keys) {
		return "", fmt.Errorf("%s has no jwks_uri", location)
	}
	return doc.Keys, nil
}

// fetch reads JSON from a file or URL.
func (k *keySet) fetch(ctx context.Context, location string, into any) error {
	data, err := k.get(ctx, location)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", location, err)
	}
	return nil
}

func (k *keySet) get(ctx context.Context, location string) ([]byte, error) {
	if isFile(location) {
		return os.ReadFile(strings.TrimPrefix(location, "file://"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", location, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, keysSize))
}
