package engine

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/display"
	pulumi "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	pulumiproviders "github.com/pulumi/pulumi/sdk/v3/go/common/providers"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// A narrator turns the engine's events into ours and adds up the result. It is
// used from one goroutine.
type narrator struct {
	sink    event.Sink
	program stacks.Program
	preview bool
	refresh bool

	refusals *refusals // what packages in this process refused

	running  map[resource.URN]time.Time // steps that began and have not ended
	started  map[resource.URN]event.Change
	held     map[resource.URN]string // error texts of steps that have not ended
	replaced map[resource.URN]bool
	done     map[doneStep]bool

	changes  []event.Change
	counts   map[event.Op]int
	outputs  map[string]any
	warnings []string
	failures []failure
	general  []string // errors that are about no resource
}

type doneStep struct {
	urn resource.URN
	op  event.Op
}

// A failure is a step that did not succeed.
type failure struct {
	change event.Change
	text   string
}

func newNarrator(sink event.Sink, p stacks.Program, operation string) *narrator {
	return &narrator{
		sink: sink, program: p, preview: operation == opPreview, refresh: operation == opRefresh,
		refusals: &refusals{text: map[resource.URN]string{}},
		running:  map[resource.URN]time.Time{}, started: map[resource.URN]event.Change{},
		held: map[resource.URN]string{}, replaced: map[resource.URN]bool{}, done: map[doneStep]bool{},
		counts: map[event.Op]int{}, outputs: map[string]any{},
	}
}

// tell handles one event of the engine.
func (n *narrator) tell(e pulumi.Event) {
	switch p := e.Payload().(type) {
	case pulumi.ResourcePreEventPayload:
		n.begin(p.Metadata, p.Internal)
	case pulumi.ResourceOutputsEventPayload:
		n.end(p.Metadata, p.Internal)
	case pulumi.ResourceOperationFailedPayload:
		n.fail(p.Metadata)
	case pulumi.DiagEventPayload:
		n.diagnose(p)
	case pulumi.StdoutEventPayload:
		n.say("info", plain(p.Message), "")
	case pulumi.ErrorEventPayload:
		n.general = append(n.general, plain(p.Error))
	}
}

// hidden reports what users did not ask for and cannot see: the stack itself
// and the providers Pulumi makes up.
func hidden(m pulumi.StepEventMetadata, internal bool) bool {
	return internal || m.Type == resource.RootStackType || pulumiproviders.IsDefaultProvider(m.URN) || opOf(m.Op) == ""
}

func (n *narrator) begin(m pulumi.StepEventMetadata, internal bool) {
	if hidden(m, internal) || n.preview {
		return
	}
	if m.Op == deploy.OpReplace {
		return // the logical step; the physical ones carry the work
	}
	c := n.change(m)
	if c.Op == event.Same {
		// The engine says no more about an unchanged component.
		if m.Res != nil && !m.Res.Custom {
			n.finishStep(m.URN, c, 0)
		}
		return
	}
	if _, ok := n.running[m.URN]; ok || c.Op == event.Replace && n.replaced[m.URN] {
		return
	}
	if c.Op == event.Replace {
		n.replaced[m.URN] = true
	}
	now := time.Now()
	n.running[m.URN], n.started[m.URN] = now, c
	n.sink.Event(event.StepStarted{Change: c, Time: now})
}

func (n *narrator) end(m pulumi.StepEventMetadata, internal bool) {
	if m.Type == resource.RootStackType && m.New != nil && m.Op != deploy.OpDelete {
		n.outputs = plainMap(stateOutputs(m.New))
	}
	if hidden(m, internal) || m.Op == deploy.OpReplace {
		return
	}
	c := n.change(m)
	if c.Op == event.Replace {
		n.replaced[m.URN] = true
		if isRemoval(m.Op) {
			return // the other half, the new resource, counts
		}
	}
	var took time.Duration
	if began, ok := n.running[m.URN]; ok {
		took = time.Since(began)
	}
	n.finishStep(m.URN, c, took)
}

func (n *narrator) finishStep(urn resource.URN, c event.Change, took time.Duration) {
	key := doneStep{urn, c.Op}
	if n.done[key] {
		return
	}
	n.done[key] = true
	// A refresh first tells that the resource exists as such, then what differs.
	if same := (doneStep{urn, event.Same}); n.refresh && c.Op != event.Same && n.done[same] {
		n.counts[event.Same]--
	}
	delete(n.running, urn)
	delete(n.started, urn)
	n.counts[c.Op]++
	if c.Op != event.Same {
		n.changes = append(n.changes, c)
	}
	n.sink.Event(event.StepDone{Change: c, Took: took})
}

func (n *narrator) fail(m pulumi.StepEventMetadata) {
	c := n.change(m)
	text := n.held[m.URN]
	delete(n.held, m.URN)
	if text == "" {
		text = "failed"
	}
	n.failures = append(n.failures, failure{c, text})
	var took time.Duration
	if began, ok := n.running[m.URN]; ok {
		took = time.Since(began)
	}
	delete(n.running, m.URN)
	delete(n.started, m.URN)
	n.done[doneStep{m.URN, c.Op}] = true
	n.sink.Event(event.StepDone{Change: c, Took: took, Err: text})
}

func (n *narrator) diagnose(p pulumi.DiagEventPayload) {
	text := plain(p.Message)
	if text == "" || p.Ephemeral && p.Severity != diag.Error {
		return
	}
	switch p.Severity {
	case diag.Error:
		if p.URN == "" {
			n.general = append(n.general, text)
			return
		}
		if _, ok := n.running[p.URN]; ok {
			n.held[p.URN] = text // told when the step ends
			return
		}
		if refused := n.refusals.of(p.URN); refused != "" {
			text = refused
		}
		n.failures = append(n.failures, failure{event.Change{Resource: n.resource(p.URN, p.URN.Type())}, text})
		n.say("error", text, p.URN)
	case diag.Warning:
		n.warn(text, p.URN)
	case diag.Debug:
		n.say("debug", text, p.URN)
	default:
		n.say("info", text, p.URN)
	}
}

// warn shows a warning and keeps it for the result.
func (n *narrator) warn(text string, about resource.URN) {
	shown := text
	if about != "" {
		shown = about.Name() + ": " + text
	}
	if slices.Contains(n.warnings, shown) {
		return
	}
	n.warnings = append(n.warnings, shown)
	n.say("warning", text, about)
}

func (n *narrator) say(severity, text string, about resource.URN) {
	m := event.Message{Severity: severity, Text: text}
	if about != "" {
		m.About = n.resource(about, about.Type())
	}
	n.sink.Event(m)
}

// close ends what the engine left open: components whose outputs were never
// registered are done when the run is, and error texts still held were about
// steps that the engine did not report as failed.
func (n *narrator) close(ok bool) {
	for _, urn := range sortedKeys(n.started) {
		if ok {
			n.finishStep(urn, n.started[urn], time.Since(n.running[urn]))
		}
	}
	for _, urn := range sortedKeys(n.held) {
		n.failures = append(n.failures, failure{event.Change{Resource: n.resource(urn, urn.Type())}, n.held[urn]})
		n.say("error", n.held[urn], urn)
	}
	n.held = map[resource.URN]string{}
	// The engine adds that the operation failed as a whole. That is news only
	// when nothing else was said.
	severity := "debug"
	if ok {
		severity = "error"
	}
	for _, text := range n.general {
		n.say(severity, text, "")
	}
}

// result is what the run did, or would do.
func (n *narrator) result() stacks.Result {
	changes := slices.Clone(n.changes)
	slices.SortFunc(changes, func(a, b event.Change) int {
		return cmp.Or(cmp.Compare(opOrder(a.Op), opOrder(b.Op)), cmp.Compare(a.URN, b.URN))
	})
	return stacks.Result{Changes: changes, Counts: n.counts, Outputs: n.outputs, Warnings: n.warnings}
}

var displayOrder = []event.Op{event.Create, event.Update, event.Replace, event.Delete, event.Read, event.Refresh, event.Same}

func opOrder(op event.Op) int { return slices.Index(displayOrder, op) }

func (n *narrator) resource(urn resource.URN, typ tokens.Type) event.Resource {
	r := event.Resource{URN: string(urn), Type: string(typ), Name: urn.Name()}
	if n.program.Owners != nil {
		r.Function = n.program.Owners(string(urn))
	}
	return r
}

// change describes a step. A leftover of an earlier run, already replaced and
// only still to be removed, loses nothing: that was decided then.
func (n *narrator) change(m pulumi.StepEventMetadata) event.Change {
	c := event.Change{Op: opOf(m.Op), Resource: n.resource(m.URN, m.Type)}
	if n.refresh && c.Op == event.Update {
		c.Op = event.Refresh // the engine tells what it found, not what it did
	}
	leftover := isRemoval(m.Op) && m.Old != nil && m.Old.Delete && !n.replaced[m.URN]
	if leftover {
		c.Op = event.Delete
	}
	if c.Op == event.Update || c.Op == event.Replace || c.Op == event.Refresh {
		c.Diff = properties(m, n.refresh)
	}
	if c.Op == event.Delete || c.Op == event.Replace {
		c.DataLoss = n.program.Stateful != nil && n.program.Stateful(string(m.Type)) &&
			m.Old != nil && !m.Old.RetainOnDelete && !leftover && !m.Old.External
	}
	return c
}

func isRemoval(op display.StepOp) bool {
	switch op {
	case deploy.OpDelete, deploy.OpDeleteReplaced, deploy.OpDiscardReplaced, deploy.OpReadDiscard:
		return true
	}
	return false
}

// opOf is the operation of a step; "" for those that mean nothing to a user.
func opOf(op display.StepOp) event.Op {
	switch op {
	case deploy.OpSame:
		return event.Same
	case deploy.OpCreate, deploy.OpImport:
		return event.Create
	case deploy.OpUpdate:
		return event.Update
	case deploy.OpReplace, deploy.OpCreateReplacement, deploy.OpDeleteReplaced,
		deploy.OpImportReplacement, deploy.OpReadReplacement, deploy.OpDiscardReplaced:
		return event.Replace
	case deploy.OpDelete, deploy.OpReadDiscard:
		return event.Delete
	case deploy.OpRead:
		return event.Read
	case deploy.OpRefresh:
		return event.Refresh
	}
	return ""
}

// failed describes what went wrong, the steps first. It is nil when nothing did.
func (n *narrator) failed() error {
	switch len(n.failures) {
	case 0:
		if len(n.general) > 0 {
			return fmt.Errorf("%s", strings.Join(n.general, "; "))
		}
		return nil
	case 1:
		return fmt.Errorf("%s", n.failures[0].describe())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d resources failed:", len(n.failures))
	for _, f := range n.failures {
		b.WriteString("\n  " + f.describe())
	}
	return fmt.Errorf("%s", b.String())
}

func (f failure) describe() string {
	if pkg, ok := strings.CutPrefix(f.change.Type, "pulumi:providers:"); ok {
		return "provider " + pkg + ": " + f.text
	}
	if f.change.Op == "" {
		return f.change.Name + ": " + f.text
	}
	return string(f.change.Op) + " " + f.change.Name + ": " + f.text
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// plain removes Pulumi's colour tags and terminal sequences.
func plain(text string) string {
	return strings.TrimSpace(ansi.ReplaceAllString(colors.Never.Colorize(text), ""))
}

func sortedKeys[V any](m map[resource.URN]V) []resource.URN {
	keys := make([]resource.URN, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
