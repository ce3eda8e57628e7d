package local

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const tokenRoute = Package + ":index:Route"

// A route leads requests of one method and path to a function.
type route struct {
	pulumi.CustomResourceState
	URL pulumi.StringOutput `pulumi:"url"`
}

type routeInputs struct {
	member
	Function value  `pulumi:"function,required"`
	Method   string `pulumi:"method,required"`
	Path     string `pulumi:"path,required"`
	CORS     bool   `pulumi:"cors"`
	Auth     string `pulumi:"auth"`
}

func (p *program) route(f *deployed, t *graph.HTTPTrigger) {
	p.trigger(tokenRoute, f, "http."+t.Method+t.Path, routeInputs{
		member:   p.member,
		Function: f.ref(p.ctx),
		Method:   t.Method,
		Path:     t.Path,
		CORS:     t.CORS,
		Auth:     t.Auth,
	}, &route{})
}

func (in *routeInputs) spec() any {
	return api.RouteSpec{Function: in.Function.text, Method: in.Method, Path: in.Path, CORS: in.CORS, Auth: in.Auth}
}

func (in *routeInputs) read(raw json.RawMessage) error {
	var s api.RouteSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*in = routeInputs{member: in.member, Function: known(s.Function), Method: s.Method, Path: s.Path, CORS: s.CORS, Auth: s.Auth}
	return nil
}
