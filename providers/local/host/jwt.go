package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// algorithms are the signatures that are accepted: made with a private key. The
// list leaves no room for "none" nor for HMAC with a public key as the secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// clockLeeway is how far the clocks of the issuer and this machine may differ.
const clockLeeway = time.Minute

// A verifier checks the bearer tokens of one service. The nil verifier accepts
// none.
type verifier struct {
	issuer   string // "" when the issuer is a file of keys
	audience []string
	keys     *keySet
	now      func() time.Time
}

// newVerifier returns a verifier for spec; nil gives nil. It reads nothing yet.
func newVerifier(spec *api.JWT) (*verifier, error) {
	if spec == nil {
		return nil, nil
	}
	v := &verifier{issuer: spec.Issuer, audience: spec.Audience, now: time.Now}
	keys := spec.JWKS
	if isFile(spec.Issuer) {
		if keys == "" {
			keys = spec.Issuer
		}
		v.issuer = ""
	}
	var err error
	if v.keys, err = newKeySet(spec.Issuer, keys); err != nil {
		return nil, err
	}
	return v, nil
}

// authorize answers the request and reports false unless it carries a valid
// token.
func (v *verifier) authorize(rw http.ResponseWriter, r *http.Request) bool {
	err := v.check(r.Context(), r.Header["Authorization"])
	if err == nil {
		return true
	}
	if unavailable, ok := errors.AsType[*keysUnavailable](err); ok {
		rw.Header()["Retry-After"] = []string{"5"}
		writeMessage(rw, http.StatusServiceUnavailable, unavailable.Error())
		return false
	}
	challenge := "Bearer"
	if !errors.Is(err, errNoToken) {
		// Some of the text is the client's own; it must not end the quotes.
		description := strings.Map(func(c rune) rune {
			if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
				return '\''
			}
			return c
		}, err.Error())
		challenge = `Bearer error="invalid_token", error_description="` + description + `"`
	}
	rw.Header()["Www-Authenticate"] = []string{challenge}
	writeMessage(rw, http.StatusUnauthorized, "Unauthorized")
	return false
}

var errNoToken = errors.New("there is no bearer token")

// check verifies the token of the Authorization fields.
func (v *verifier) check(ctx context.Context, fields []string) error {
	if v == nil {
		return errors.New("the service has no token settings")
	}
	if len(fields) == 0 {
		return errNoToken
	}
	if len(fields) > 1 {
		return errors.New("there is more than one Authorization field")
	}
	scheme, raw, _ := strings.Cut(fields[0], " ")
	raw = strings.TrimSpace(raw)
	if !strings.EqualFold(scheme, "bearer") || raw == "" {
		return errNoToken
	}
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		return errors.New("the token is malformed or its algorithm is not accepted")
	}
	head := token.Headers[0]
	keys, err := v.keys.find(ctx, head.KeyID)
	if err != nil {
		return err
	}
	var claims jwt.Claims
	err = errors.New("no key of the issuer fits the token")
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != head.Algorithm {
			continue
		}
		if err = token.Claims(key.Key, &claims); err == nil {
			break
		}
		err = errors.New("the signature is wrong")
	}
	if err != nil {
		return err
	}
	return v.checkClaims(claims)
}

func (v *verifier) checkClaims(c jwt.Claims) error {
	now := v.now()
	switch {
	case v.issuer != "" && c.Issuer != v.issuer:
		return errors.New("the issuer is another")
	case len(v.audience) > 0 && !slices.ContainsFunc(v.audience, c.Audience.Contains):
		return errors.New("the audience is another")
	case c.Expiry == nil:
		return errors.New("the token has no expiry")
	case now.Add(-clockLeeway).After(c.Expiry.Time()):
		return errors.New("the token has expired")
	case c.NotBefore != nil && now.Add(clockLeeway).Before(c.NotBefore.Time()):
		return errors.New("the token is not valid yet")
	case c.IssuedAt != nil && now.Add(clockLeeway).Before(c.IssuedAt.Time()):
		return errors.New("the token was issued in the future")
	}
	return nil
}

// A keysUnavailable is a failure to get the issuer's keys, which says nothing
// about the token.
type keysUnavailable struct{ cause error }

func (e *keysUnavailable) Error() string {
	return fmt.Sprintf("the keys of the token issuer cannot be read: %v", e.cause)
}
func (e *keysUnavailable) Unwrap() error { return e.cause }
