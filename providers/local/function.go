package local

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/anyfaas/anyfaas/manifest/graph"
	"github.com/anyfaas/anyfaas/providers/local/api"
)

const tokenFunction = Package + ":index:Function"

// A function is a packaged function with its limits and its environment.
type function struct {
	pulumi.CustomResourceState
}

type functionInputs struct {
	member
	Code        string             `pulumi:"code,required"` // SHA-256 of the package
	Command     []string           `pulumi:"command"`
	Runtime     string             `pulumi:"runtime,required"`
	Description string             `pulumi:"description"`
	Memory      size               `pulumi:"memory,required"`
	Storage     size               `pulumi:"ephemeralStorage"`
	Timeout     span               `pulumi:"timeout,required"`
	Concurrency *concurrencyInputs `pulumi:"concurrency"`
	Env         map[string]value   `pulumi:"env"`
	Secrets     map[string]value   `pulumi:"secrets"`
	Retries     *retriesInputs     `pulumi:"retries"`
	DeadLetter  value              `pulumi:"deadLetter"`
	Logs        *logsInputs        `pulumi:"logs"`
	Tracing     bool               `pulumi:"tracing"`
}

type concurrencyInputs struct {
	Max         int `pulumi:"max"`
	Warm        int `pulumi:"warm"`
	PerInstance int `pulumi:"perInstance"`
}

type retriesInputs struct {
	Attempts int  `pulumi:"attempts"`
	MaxAge   span `pulumi:"maxAge"`
}

type logsInputs struct {
	Retention span   `pulumi:"retention"`
	Level     string `pulumi:"level"`
}

// deployed is a function of the program and its resource.
type deployed struct {
	*graph.Function
	res *function
}

// ref names the function in the inputs of its triggers.
func (f *deployed) ref(ctx *pulumi.Context) value { return naming(ctx, f.Name, f.res) }

// Retries of asynchronous events when the manifest says nothing, as on the
// clouds: twice, for up to six hours.
const (
	defaultAttempts = 2
	defaultMaxAge   = 6 * time.Hour
)

func (p *program) function(f *graph.Function) *deployed {
	art := p.in.Artifacts[f.Name]
	in := functionInputs{
		member:      p.member,
		Code:        art.SHA256,
		Command:     art.Command,
		Runtime:     f.Runtime.String(),
		Description: f.Description,
		Memory:      size(f.MemoryMB),
		Storage:     size(f.EphemeralMB),
		Timeout:     span(f.Timeout),
		Env:         p.environment(f),
		Secrets:     p.secrets(f),
		Retries:     &retriesInputs{Attempts: defaultAttempts, MaxAge: span(defaultMaxAge)},
		Tracing:     f.Tracing,
	}
	if c := (concurrencyInputs{Max: f.MaxConcurrency, Warm: f.Warm, PerInstance: f.PerInstance}); c != (concurrencyInputs{}) {
		in.Concurrency = &c
	}
	if f.Retries.Set {
		in.Retries = &retriesInputs{Attempts: f.Retries.Attempts, MaxAge: span(f.Retries.MaxAge)}
	}
	if l := (logsInputs{Retention: span(f.Logs.Retention), Level: f.Logs.Level}); l != (logsInputs{}) {
		in.Logs = &l
	}
	if f.DeadLetter != "" {
		in.DeadLetter = p.refer(graph.QueueKind, f.DeadLetter)
	}
	d := &deployed{Function: f, res: &function{}}
	p.register(tokenFunction, f.Name, in, d.res)
	return d
}

func (in *functionInputs) spec() any {
	s := api.FunctionSpec{
		Artifact:    in.Code,
		Command:     in.Command,
		Runtime:     in.Runtime,
		Description: in.Description,
		MemoryMB:    int(in.Memory),
		EphemeralMB: int(in.Storage),
		Timeout:     api.Duration(in.Timeout),
		PerInstance: 1,
		Env:         texts(in.Env),
		Secrets:     texts(in.Secrets),
		DeadLetter:  in.DeadLetter.text,
		Tracing:     in.Tracing,
	}
	if c := in.Concurrency; c != nil {
		s.MaxConcurrency, s.Warm, s.PerInstance = c.Max, c.Warm, max(c.PerInstance, 1)
	}
	if r := in.Retries; r != nil {
		s.Retries = api.Retries{Attempts: r.Attempts, MaxAge: api.Duration(r.MaxAge)}
	}
	if l := in.Logs; l != nil {
		s.LogRetention, s.LogLevel = api.Duration(l.Retention), l.Level
	}
	return s
}

// read keeps the secrets that the host still has under the same names, since it
// never tells their values.
func (in *functionInputs) read(raw json.RawMessage) error {
	var s api.FunctionSpec
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	before := *in
	*in = functionInputs{
		member:      before.member,
		Code:        s.Artifact,
		Command:     s.Command,
		Runtime:     s.Runtime,
		Description: s.Description,
		Memory:      size(s.MemoryMB),
		Storage:     size(s.EphemeralMB),
		Timeout:     span(s.Timeout),
		Env:         values(s.Env),
		DeadLetter:  known(s.DeadLetter),
		Tracing:     s.Tracing,
	}
	for name := range s.Secrets {
		if v, ok := before.Secrets[name]; ok {
			if in.Secrets == nil {
				in.Secrets = map[string]value{}
			}
			in.Secrets[name] = v
		}
	}
	perInstance := s.PerInstance
	if perInstance == 1 && (before.Concurrency == nil || before.Concurrency.PerInstance == 0) {
		perInstance = 0 // the default, not written
	}
	if c := (concurrencyInputs{Max: s.MaxConcurrency, Warm: s.Warm, PerInstance: perInstance}); c != (concurrencyInputs{}) {
		in.Concurrency = &c
	}
	if r := (retriesInputs{Attempts: s.Retries.Attempts, MaxAge: span(s.Retries.MaxAge)}); r != (retriesInputs{}) || before.Retries != nil {
		in.Retries = &r
	}
	if l := (logsInputs{Retention: span(s.LogRetention), Level: s.LogLevel}); l != (logsInputs{}) {
		in.Logs = &l
	}
	return nil
}

// texts gives the plain strings of known values; never nil, since the host
// takes an environment without entries.
func texts(m map[string]value) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v.text
	}
	return out
}

// values is the inverse of texts; nil for an empty map.
func values(m map[string]string) map[string]value {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]value, len(m))
	for k, v := range maps.All(m) {
		out[k] = known(v)
	}
	return out
}
