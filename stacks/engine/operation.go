package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	pulumi "github.com/pulumi/pulumi/pkg/v3/engine"
	"github.com/pulumi/pulumi/pkg/v3/resource/deploy"
	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	"github.com/pulumi/pulumi/pkg/v3/util/cancel"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/anyfaas/anyfaas/providers"
	"github.com/anyfaas/anyfaas/stacks"
	"github.com/anyfaas/anyfaas/stacks/event"
)

// Names of the operations, as events, locks and the history call them.
const (
	opPreview = "preview"
	opDeploy  = "deploy"
	opRemove  = "remove"
	opRefresh = "refresh"
	opImport  = "import"
)

// Preview tells what Up would do. It takes no lock and changes nothing.
func (e *Engine) Preview(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	return e.operate(ctx, id, opPreview, p, o, sink, (*run).preview)
}

// Up makes the stack what the program says. Unless o allows it, nothing is
// changed when data would be lost; the error is then a *stacks.DataLossError.
func (e *Engine) Up(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	return e.operate(ctx, id, opDeploy, p, o, sink, (*run).change)
}

// Destroy removes all resources of the stack, except those to be retained. The
// empty stack stays, with its history.
func (e *Engine) Destroy(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	return e.operate(ctx, id, opRemove, p, o, sink, (*run).change)
}

// Refresh makes the recorded state what really exists.
func (e *Engine) Refresh(ctx context.Context, id stacks.ID, p stacks.Program, o stacks.Options, sink event.Sink) (stacks.Result, error) {
	return e.operate(ctx, id, opRefresh, p, o, sink, (*run).change)
}

// A run is one operation on one stack.
type run struct {
	engine    *Engine
	store     store
	id        stacks.ID
	operation string
	program   stacks.Program
	options   stacks.Options
	servers   map[string]providers.ResourceServer
	config    config.Map
	narrator  *narrator
	started   time.Time

	base     checkpoint       // the state before, settled
	snapshot *deploy.Snapshot // the same, decoded; nil for a new stack
	lock     *lock            // nil in previews
}

// operate does what all operations have in common.
func (e *Engine) operate(ctx context.Context, id stacks.ID, operation string, p stacks.Program, o stacks.Options, sink event.Sink, do func(*run, context.Context) error) (stacks.Result, error) {
	if sink == nil {
		sink = event.Discard
	}
	r := &run{
		engine: e, id: id, operation: operation, program: p, options: o,
		servers: map[string]providers.ResourceServer{}, started: time.Now(),
		narrator: newNarrator(sink, p, operation),
	}
	sink.Event(event.Started{Operation: operation, Service: id.Service, Stage: id.Stage, Provider: id.Provider, Time: r.started})
	err := r.prepare(ctx)
	if err == nil {
		err = do(r, ctx)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = stacks.ErrInterrupted // before the engine ran or after
	}
	finished := event.Finished{Operation: operation, Counts: r.narrator.counts, Took: time.Since(r.started)}
	if err != nil {
		finished.Err = err.Error()
	}
	sink.Event(finished)
	return r.narrator.result(), err
}

func (r *run) prepare(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return stacks.ErrInterrupted
	}
	for _, s := range r.program.InProcess {
		if _, twice := r.servers[s.Package()]; twice {
			return fmt.Errorf("two servers of the package %s", s.Package())
		}
		r.servers[s.Package()] = s
	}
	r.config = config.Map{}
	for name, value := range r.program.Config {
		key, err := config.ParseKey(name)
		if err != nil {
			return fmt.Errorf("configuration %q: %w", name, err)
		}
		r.config[key] = config.NewValue(value)
	}
	r.store, err = r.engine.open(ctx, r.id)
	return err
}

func (r *run) preview(ctx context.Context) error {
	cp, rec, err := latest(ctx, r.store, r.id)
	if err != nil {
		return err
	}
	if rec != nil && rec.header.Run != "" {
		text := fmt.Sprintf("a %s that began at %s has not ended or was interrupted; this is what it recorded so far",
			rec.header.Operation, rec.header.Started.Local().Format(time.DateTime))
		if names := pendingNames(cp.deployment); names != "" {
			text += ", and the next deploy first puts right what is open: " + names
		}
		r.narrator.say("info", text, "")
	}
	if r.snapshot, err = decode(ctx, cp.deployment, r.engine.ring); err != nil {
		return err
	}
	if r.snapshot != nil {
		r.snapshot.PendingOperations = nil // the next run clears them up first
	}
	return r.drive(ctx, r.narrator, nil, true)
}

// change runs an operation that changes the stack.
func (r *run) change(ctx context.Context) (err error) {
	l, replaced, err := acquire(ctx, r.store, r.id, r.operation)
	if err != nil {
		return err
	}
	r.lock = l
	defer func() {
		if rerr := l.release(ctx); rerr != nil && err == nil && rerr != errLockLost {
			err = fmt.Errorf("release the lock: %w", rerr)
		}
	}()
	if replaced != nil {
		r.narrator.say("info", fmt.Sprintf("took over the lock of a %s by %s (process %d), which no longer runs",
			replaced.Command, replaced.User, replaced.PID), "")
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if r.operation == opDeploy && !r.options.AllowDataLoss {
		if err := r.refuseDataLoss(ctx); err != nil {
			return err
		}
	}
	return r.record(ctx)
}

// refuseDataLoss plans the change and returns a *stacks.DataLossError when
// resources that hold data would go.
func (r *run) refuseDataLoss(ctx context.Context) error {
	if r.snapshot == nil || r.program.Stateful == nil || !slices.ContainsFunc(r.snapshot.Resources, func(s *resource.State) bool {
		return s.Custom && !s.Delete && !s.RetainOnDelete && r.program.Stateful(string(s.Type))
	}) {
		return nil // nothing to lose, nothing to plan
	}
	var said []event.Message
	plan := newNarrator(event.Func(func(e event.Event) {
		if m, ok := e.(event.Message); ok && m.Severity == "error" {
			said = append(said, m)
		}
	}), r.program, opPreview)
	// The engine marks the states it plans with; the run needs unmarked ones.
	dry := *r
	var err error
	if dry.snapshot, err = decode(ctx, r.base.deployment, r.engine.ring); err != nil {
		return err
	}
	dry.snapshot.PendingOperations = nil
	if err := dry.drive(ctx, plan, nil, true); err != nil {
		for _, m := range said {
			r.narrator.sink.Event(m)
		}
		return err
	}
	var lost []string
	for _, c := range plan.result().Changes {
		if c.DataLoss {
			lost = append(lost, c.Name+" ("+c.Type+")")
		}
	}
	if len(lost) > 0 {
		return &stacks.DataLossError{Resources: lost}
	}
	return nil
}

// record runs the engine with a journal and folds it into the state.
func (r *run) record(ctx context.Context) error {
	durable := context.WithoutCancel(ctx)
	sm, err := r.engine.secretsManager(ctx, r.store, r.id, r.snapshot)
	if err != nil {
		return err
	}
	header := journalHeader{
		Version: journalVersion, Run: uuid.NewString(), Base: r.base.digest,
		Operation: r.operation, Message: r.options.Message, Started: r.started.UTC(),
	}
	var pending []resource.Operation
	if r.snapshot != nil {
		// They stay recorded, but the engine would tell the user to repair
		// them with commands of Pulumi's.
		pending, r.snapshot.PendingOperations = r.snapshot.PendingOperations, nil
	}
	j, err := startJournal(ctx, r.store, r.id, header, sm, pending)
	if err != nil {
		return err
	}
	manager, err := pulumi.NewJournalSnapshotManager(j, r.snapshot, sm)
	if err != nil {
		return errors.Join(err, j.stop(), r.dropJournal(durable))
	}
	runErr := r.drive(ctx, r.narrator, manager, false)
	stopErr := j.stop()

	if err := r.lock.check(durable); err == errLockLost {
		// Somebody else may be writing this state now. The journal stays for
		// the next run to judge.
		return errors.Join(errLockLost, runErr)
	}
	d, err := replay(r.base.deployment, j.recorded())
	if err != nil {
		return errors.Join(err, runErr)
	}
	r.narrator.outputs = recordedOutputs(d.Deployment)
	broken := verify(d.Deployment)
	data, err := encodeCheckpoint(r.id, d)
	if err != nil {
		return errors.Join(err, runErr)
	}
	if err := r.fold(durable, header.Run, data); err != nil {
		return errors.Join(err, runErr)
	}
	if stopErr != nil {
		// The journal failed, but the state has been written whole since.
		r.narrator.warn(stopErr.Error(), "")
	}
	if err := r.finish(durable, runErr); err != nil {
		return errors.Join(runErr, err)
	}
	if runErr == nil && broken != nil {
		return broken
	}
	return runErr
}

// finish adds the run to the history and keeps a backup.
func (r *run) finish(ctx context.Context, runErr error) error {
	now := time.Now()
	u := stacks.Update{
		Operation: r.operation, Result: succeeded, Message: r.options.Message,
		Started: r.started, Ended: now, Counts: r.narrator.counts,
	}
	switch {
	case errors.Is(runErr, stacks.ErrInterrupted):
		u.Result = interrupted
	case runErr != nil:
		u.Result = failed
	}
	if err := recordHistory(ctx, r.store, r.id, u, r.engine.o.Program, r.config, now); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := backUp(ctx, r.store, r.id, now, r.store.Put); err != nil {
		return fmt.Errorf("backup of the state: %w", err)
	}
	return prune(ctx, r.store, r.id)
}

// drive runs the engine once and tells n what happens. All events come from the
// calling goroutine.
func (r *run) drive(ctx context.Context, n *narrator, manager pulumi.SnapshotManager, dry bool) error {
	prog := &program{run: r.program.Run, servers: r.servers}
	stackName, err := tokens.ParseStackName(r.id.StackName())
	if err != nil {
		return err
	}
	info := pulumi.UpdateInfo{
		Root: r.engine.o.ProjectDir,
		Project: &workspace.Project{
			Name: tokens.PackageName(r.id.Service), Runtime: workspace.NewProjectRuntimeInfo("go", nil),
		},
		Target: &deploy.Target{
			Name: stackName, Organization: "organization", Config: r.config,
			Decrypter: config.NopDecrypter, Snapshot: r.snapshot,
		},
	}
	opts := pulumi.UpdateOptions{
		Parallel: parallelism(r.options.Parallel),
		Targets:  deploy.NewUrnTargets(r.options.Targets),
		// Packages in this process need no installation, and real plugins are
		// installed when they are first asked for.
		SkipPluginPreInstall: true,
		HostFactory: func(ctx context.Context, d, status diag.Sink, debugging plugin.DebugContext) (plugin.Host, error) {
			return newHost(ctx, d, status, debugging, prog, r.servers, n.refusals)
		},
	}
	cancelCtx, canceler := cancel.NewContext(context.WithoutCancel(ctx))
	defer canceler.Terminate() // lets the host go
	events := make(chan pulumi.Event)
	ectx := &pulumi.Context{Cancel: cancelCtx, Events: events, SnapshotManager: manager, BackendClient: noOtherStacks{}}

	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("the deployment engine panicked: %v", p)
				close(events)
			}
			done <- err
		}()
		switch r.operation {
		case opRemove:
			_, _, err = pulumi.Destroy(info, ectx, opts, dry)
		case opRefresh:
			_, _, err = pulumi.Refresh(info, ectx, opts, dry)
		default:
			_, _, err = pulumi.Update(info, ectx, opts, dry)
		}
	}()

	stopped, lost := r.listen(ctx, n, events, canceler)
	err = <-done
	n.close(err == nil)
	switch {
	case err == nil:
		return nil
	case lost:
		return errLockLost
	case stopped:
		if failure := n.failed(); failure != nil && len(n.failures) > 0 {
			return fmt.Errorf("%w; %w", stacks.ErrInterrupted, failure)
		}
		return stacks.ErrInterrupted
	}
	if failure := prog.failure(); failure != nil && len(n.failures) == 0 {
		return fmt.Errorf("program: %w", failure)
	}
	if failure := n.failed(); failure != nil {
		return failure
	}
	return err
}

// listen hands events on until the engine has sent its last. stopped says that
// the engine was told to stop, lost that the reason was a lost lock.
func (r *run) listen(ctx context.Context, n *narrator, events <-chan pulumi.Event, canceler *cancel.Source) (stopped, lost bool) {
	interrupt := ctx.Done()
	var taken <-chan struct{}
	if r.lock != nil {
		taken = r.lock.Lost
	}
	stop := func() {
		interrupt, taken, stopped = nil, nil, true
		n.sink.Event(event.Stopping{Running: len(n.running)})
		canceler.Cancel()
	}
	for {
		select {
		case e, ok := <-events:
			if !ok || e.Type == pulumi.CancelEvent {
				return stopped, lost
			}
			n.tell(e)
		case <-interrupt:
			stop()
		case <-taken:
			lost = true
			stop()
		}
	}
}

// parallelism is how many steps run at once. They mostly wait for something
// else, so there are more of them than processors.
func parallelism(asked int) int32 {
	if asked > 0 {
		return int32(min(asked, 1<<16))
	}
	return int32(max(32, 4*runtime.NumCPU()))
}

// noOtherStacks answers stack references, which programs of ours do not use.
type noOtherStacks struct{}

var errNoOtherStacks = errors.New("references to other stacks are not supported")

func (noOtherStacks) GetStackOutputs(context.Context, string, func(error) error) (property.Map, error) {
	return property.Map{}, errNoOtherStacks
}

func (noOtherStacks) GetStackResourceOutputs(context.Context, string) (property.Map, error) {
	return property.Map{}, errNoOtherStacks
}
