package host

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// An issuer signs tokens and publishes its keys.
type issuer struct {
	*httptest.Server
	t     *testing.T
	keys  atomic.Pointer[jose.JSONWebKeySet]
	down  atomic.Bool
	reads atomic.Int32
	name  string // told by the discovery document; "" is the URL
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	i.keys.Store(&jose.JSONWebKeySet{})
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		name := i.name
		if name == "" {
			name = i.URL
		}
		json.NewEncoder(w).Encode(map[string]string{"issuer": name, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		i.reads.Add(1)
		if i.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(i.keys.Load())
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// publish adds a key to those published.
func (i *issuer) publish(keys ...jose.JSONWebKey) {
	set := &jose.JSONWebKeySet{Keys: append([]jose.JSONWebKey{}, i.keys.Load().Keys...)}
	set.Keys = append(set.Keys, keys...)
	i.keys.Store(set)
}

// sign makes a token. Claims override the good ones; nil removes one.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": "", "aud": "orders", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	for k, v := range all {
		if v == nil {
			delete(all, k)
		}
	}
	o := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		o = o.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func public(key crypto.Signer, id string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"}
}

type testKeys struct {
	rsa, otherRSA *rsa.PrivateKey
	ec            *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
}

func makeKeys(t *testing.T) testKeys {
	t.Helper()
	var k testKeys
	var errs [4]error
	k.rsa, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.otherRSA, errs[1] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, errs[3] = ed25519.GenerateKey(rand.Reader)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestTokens(t *testing.T) {
	k := makeKeys(t)
	is := newIssuer(t)
	ecOnly := public(k.rsa, "marked")
	ecOnly.Algorithm = "PS256"
	enc := public(k.rsa, "enc")
	enc.Use = "enc"
	is.publish(public(k.rsa, "rsa"), public(k.ec, "ec"), public(k.ed, "ed"), ecOnly, enc)
	v, err := newVerifier(&api.JWT{Issuer: is.URL, Audience: []string{"shop", "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	good := func(c map[string]any) map[string]any {
		all := map[string]any{"iss": is.URL}
		maps.Copy(all, c)
		return all
	}
	rsaPEM, err := x509.MarshalPKIXPublicKey(k.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	rs := func(c map[string]any) string { return "Bearer " + sign(t, jose.RS256, k.rsa, "rsa", good(c)) }
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	payload := strings.Split(rs(nil), ".")[1]
	whole := strings.TrimPrefix(rs(nil), "Bearer ")
	const (
		malformed = "the token is malformed or its algorithm is not accepted"
		wrong     = "the signature is wrong"
		noKey     = "no key of the issuer fits the token"
		noToken   = "there is no bearer token"
	)
	tests := []struct {
		name  string
		field []string
		want  string // "" is accepted
	}{
		{"RS256", []string{rs(nil)}, ""},
		{"PS256 with the same key", []string{"Bearer " + sign(t, jose.PS256, k.rsa, "rsa", good(nil))}, ""},
		{"ES256", []string{"Bearer " + sign(t, jose.ES256, k.ec, "ec", good(nil))}, ""},
		{"EdDSA", []string{"Bearer " + sign(t, jose.EdDSA, k.ed, "ed", good(nil))}, ""},
		{"no key id tries all keys", []string{"Bearer " + sign(t, jose.ES256, k.ec, "", good(nil))}, ""},
		{"the scheme in any case", []string{"bEARER " + whole}, ""},
		{"one of several audiences", []string{rs(map[string]any{"aud": []string{"x", "shop"}})}, ""},
		{"expired within the leeway", []string{rs(map[string]any{"exp": now.Add(-30 * time.Second).Unix()})}, ""},
		{"valid soon within the leeway", []string{rs(map[string]any{"nbf": now.Add(30 * time.Second).Unix()})}, ""},

		{"no field", nil, noToken},
		{"another scheme", []string{"Basic YTpi"}, noToken},
		{"an empty token", []string{"Bearer "}, noToken},
		{"two fields", []string{rs(nil), rs(nil)}, "there is more than one Authorization field"},
		{"garbage", []string{"Bearer abc"}, malformed},
		{"an unsigned token", []string{"Bearer " + part(`{"alg":"none"}`) + "." + payload + "."}, malformed},
		{"an unsigned token in other case", []string{"Bearer " + part(`{"alg":"NoNe"}`) + "." + payload + "."}, malformed},
		{"an HMAC with the public key as secret", []string{"Bearer " + sign(t, jose.HS256, rsaPEM, "rsa", good(nil))}, malformed},
		{"an elliptic algorithm that names an RSA key", []string{"Bearer " + sign(t, jose.ES256, k.ec, "rsa", good(nil))}, wrong},
		{"an algorithm other than the key is marked for", []string{"Bearer " + sign(t, jose.RS256, k.rsa, "marked", good(nil))}, noKey},
		{"a key that is for encryption", []string{"Bearer " + sign(t, jose.RS256, k.rsa, "enc", good(nil))}, noKey},
		{"an unknown key", []string{"Bearer " + sign(t, jose.RS256, k.rsa, "nope", good(nil))}, noKey},
		{"another's signature under a known id", []string{"Bearer " + sign(t, jose.RS256, k.otherRSA, "rsa", good(nil))}, wrong},
		{"a changed payload", []string{"Bearer " + strings.Replace(whole, payload, part(`{"iss":"`+is.URL+`","aud":"orders","exp":99999999999,"admin":true}`), 1)}, wrong},
		{"another issuer", []string{rs(map[string]any{"iss": "https://evil.example"})}, "the issuer is another"},
		{"an issuer with a slash more", []string{rs(map[string]any{"iss": is.URL + "/"})}, "the issuer is another"},
		{"no issuer", []string{rs(map[string]any{"iss": nil})}, "the issuer is another"},
		{"another audience", []string{rs(map[string]any{"aud": "else"})}, "the audience is another"},
		{"no audience", []string{rs(map[string]any{"aud": nil})}, "the audience is another"},
		{"no expiry", []string{rs(map[string]any{"exp": nil})}, "the token has no expiry"},
		{"expired", []string{rs(map[string]any{"exp": now.Add(-2 * time.Minute).Unix()})}, "the token has expired"},
		{"not valid yet", []string{rs(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()})}, "the token is not valid yet"},
		{"issued in the future", []string{rs(map[string]any{"iat": now.Add(2 * time.Minute).Unix()})}, "the token was issued in the future"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := v.check(t.Context(), tt.field); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestKeysAreReadAgainForAnUnknownKeyButNotForEachToken(t *testing.T) {
	k := makeKeys(t)
	is := newIssuer(t)
	is.publish(public(k.rsa, "old"))
	v, err := newVerifier(&api.JWT{Issuer: is.URL})
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	v.keys.now = func() time.Time { return clock }
	check := func(key *rsa.PrivateKey, id string) error {
		return v.check(context.Background(), []string{"Bearer " + sign(t, jose.RS256, key, id, map[string]any{"iss": is.URL})})
	}
	if err := check(k.rsa, "old"); err != nil {
		t.Fatal(err)
	}
	is.publish(public(k.otherRSA, "new"))
	for range 10 {
		if check(k.otherRSA, "new") == nil {
			t.Fatal("the keys were read again at once: anybody could make the host flood the issuer")
		}
	}
	if got := is.reads.Load(); got != 1 {
		t.Fatalf("keys were read %d times, want once", got)
	}
	clock = clock.Add(keysPause)
	if err := check(k.otherRSA, "new"); err != nil {
		t.Fatal(err)
	}
	is.down.Store(true)
	clock = clock.Add(2 * keysFresh)
	if err := check(k.rsa, "old"); err != nil {
		t.Errorf("known keys must do while the issuer is down: %v", err)
	}
}

func TestKeysThatCannotBeReadAre503(t *testing.T) {
	k := makeKeys(t)
	is := newIssuer(t)
	is.down.Store(true)
	impostor := newIssuer(t)
	impostor.name = "https://login.example"
	token := "Bearer " + sign(t, jose.RS256, k.rsa, "rsa", nil)
	tests := []struct {
		name string
		spec api.JWT
		want string
	}{
		{"the issuer is down", api.JWT{Issuer: is.URL}, is.URL + "/keys answered 500 Internal Server Error"},
		{"the discovery document names another", api.JWT{Issuer: impostor.URL}, impostor.URL + `/.well-known/openid-configuration names another issuer, "https://login.example"`},
		{"the file is missing", api.JWT{Issuer: "/nowhere/keys.json"}, "open /nowhere/keys.json: no such file or directory"},
		{"there are no keys", api.JWT{Issuer: is.URL, JWKS: impostor.URL + "/keys"}, impostor.URL + "/keys holds no signing key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := newVerifier(&tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			req := httptest.NewRequest("GET", "/", nil)
			req.Header.Set("Authorization", token)
			if v.authorize(rec, req) {
				t.Fatal("accepted")
			}
			text, _ := json.Marshal(map[string]string{"message": "the keys of the token issuer cannot be read: " + tt.want})
			if rec.Code != 503 || rec.Body.String() != string(text) || rec.Header().Get("Retry-After") != "5" {
				t.Errorf("got %d %s, want 503 %s", rec.Code, rec.Body, text)
			}
		})
	}
}

func TestKeysFromAFile(t *testing.T) {
	k := makeKeys(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public(k.ec, "ec"), {Key: []byte("shared"), KeyID: "hmac"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []api.JWT{{Issuer: file}, {Issuer: "file://" + file}, {Issuer: "https://login.example", JWKS: file}} {
		v, err := newVerifier(&spec)
		if err != nil {
			t.Fatal(err)
		}
		token := sign(t, jose.ES256, k.ec, "ec", map[string]any{"iss": "https://login.example"})
		if err := v.check(t.Context(), []string{"Bearer " + token}); err != nil {
			t.Errorf("%+v: %v", spec, err)
		}
	}
}

func TestARefusedTokenIsTold(t *testing.T) {
	v, err := newVerifier(&api.JWT{Issuer: "https://login.example", JWKS: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"":           `Bearer`,
		"Bearer a.b": `Bearer error="invalid_token", error_description="the token is malformed or its algorithm is not accepted"`,
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/", nil)
		if field != "" {
			req.Header.Set("Authorization", field)
		}
		if v.authorize(rec, req) {
			t.Fatal("accepted")
		}
		if got := rec.Header().Get("WWW-Authenticate"); got != want || rec.Code != 401 || rec.Body.String() != `{"message":"Unauthorized"}` {
			t.Errorf("%q: got %d %q %s, want 401 %q", field, rec.Code, got, rec.Body, want)
		}
	}
}
