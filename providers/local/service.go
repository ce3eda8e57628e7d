package local

import (
	"encoding/json"
	"net/url"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const tokenService = Package + ":index:Service"

// A service is the HTTP front of a stack and the first of its resources: every
// other one depends on it, so that it is made first and removed last.
type service struct {
	pulumi.CustomResourceState
	URL    pulumi.StringOutput `pulumi:"url"`    // of the front, without a slash at the end
	Events pulumi.StringOutput `pulumi:"events"` // of the event bus
}

type serviceInputs struct {
	member
	Service string            `pulumi:"service,required"`
	Stage   string            `pulumi:"stage,required"`
	Owner   string            `pulumi:"owner,required"` // the project folder
	Port    int               `pulumi:"port"`
	CORS    *corsInputs       `pulumi:"cors"`
	JWT     *jwtInputs        `pulumi:"jwt"`
	Domain  string            `pulumi:"domain"`
	Tags    map[string]string `pulumi:"tags"`
}

type corsInputs struct {
	Origins     []string `pulumi:"origins"`
	Methods     []string `pulumi:"methods"`
	Headers     []string `pulumi:"headers"`
	Expose      []string `pulumi:"expose"`
	Credentials bool     `pulumi:"credentials"`
	MaxAge      span     `pulumi:"maxAge"`
}

type jwtInputs struct {
	Issuer   string   `pulumi:"issuer"`
	JWKS     string   `pulumi:"jwks"` // URL or absolute path
	Audience []string `pulumi:"audience"`
}

func (p *program) service() {
	in := serviceInputs{
		member:  p.member,
		Service: p.g.Service,
		Stage:   p.g.Stage,
		Owner:   p.g.Dir,
		Port:    port(p.g),
		Domain:  p.g.HTTP.Domain,
		Tags:    p.g.Tags,
	}
	if c := p.g.HTTP.CORS; c != nil {
		in.CORS = &corsInputs{Origins: c.Origins, Methods: c.Methods, Headers: c.Headers, Expose: c.Expose, Credentials: c.Credentials, MaxAge: span(c.MaxAge)}
	}
	if j := p.g.HTTP.JWT; j != nil {
		issuer, keys := keySet(p.g.Dir, *j)
		in.JWT = &jwtInputs{Issuer: issuer, JWKS: keys, Audience: j.Audience}
	}
	p.front = &service{}
	p.register(tokenService, p.g.Service, in, p.front)
}

// keySet tells where tokens are checked against: the issuer they must name ("":
// any) and the place of the key set, a URL or an absolute path ("": discovered
// from the issuer). A manifest may give a file as the issuer, for tests.
func keySet(dir string, j graph.JWT) (issuer, keys string) {
	issuer, keys = j.Issuer, j.JWKS
	if keys == "" && !isURL(issuer) {
		issuer, keys = "", issuer
	}
	if keys != "" && !isURL(keys) && !filepath.IsAbs(keys) {
		keys = filepath.Join(dir, keys)
	}
	return issuer, keys
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func (in *serviceInputs) spec() any {
	s := api.ServiceSpec{Service: in.Service, Stage: in.Stage, Owner: in.Owner, Port: in.Port, Domain: in.Domain, Tags: in.Tags}
	if c := in.CORS; c != nil {
		s.CORS = &api.CORS{Origins: c.Origins, Methods: c.Methods, Headers: c.Headers, Expose: c.Expose, Credentials: c.Credentials, MaxAge: api.Duration(c.MaxAge)}
	}
	if j := in.JWT; j != nil {
		s.JWT = &api.JWT{Issuer: j.Issuer, JWKS: j.JWKS, Audience: j.Audience}
	}
	return s
}

func (in *serviceInputs) read(raw json.RawMessage) error {
	var s api.ServiceSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = serviceInputs{member: in.member, Service: s.Service, Stage: s.Stage, Owner: s.Owner, Port: s.Port, Domain: s.Domain, Tags: s.Tags}
	if c := s.CORS; c != nil {
		in.CORS = &corsInputs{Origins: c.Origins, Methods: c.Methods, Headers: c.Headers, Expose: c.Expose, Credentials: c.Credentials, MaxAge: span(c.MaxAge)}
	}
	if j := s.JWT; j != nil {
		in.JWT = &jwtInputs{Issuer: j.Issuer, JWKS: j.JWKS, Audience: j.Audience}
	}
	return nil
}
