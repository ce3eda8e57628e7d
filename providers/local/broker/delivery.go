package broker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
)

// A source hands out stored messages, each to one taker at a time.
type source interface {
	// take waits until there is a message, then gathers more of them, until
	// there are max, the window is over, or, without a window, none is ready.
	take(ctx context.Context, max int, window time.Duration) ([]taken, error)
}

// A taken message is hidden from other takers until it is settled or its time
// is over.
type taken interface {
	load() (message, error)
	sequence() uint64 // grows in the order of sending
	count() int       // deliveries, this one included
	extend() error    // starts the hidden time anew
	done(ctx context.Context) error
	again(ctx context.Context, after time.Duration) error
}

// A delivery feeds a source to a function.
type delivery struct {
	b        *Broker
	stack    string
	function string
	source   source

	hidden func() time.Duration // how long a taken message stays hidden
	retry  func() Backoff

	// attempts is how often a message is tried; 0 means until it expires.
	attempts func(message) int
	// bury keeps a message that failed for good.
	bury func(ctx context.Context, m message, ev api.CloudEvent, count int, reason string) error

	slots slots

	mu     sync.Mutex
	event  func(message, taken) *api.CloudEvent
	batch  int
	window time.Duration
	active map[uint64]bool // sequences in calls

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// start begins to take and call. It is called once.
func (d *delivery) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.active = map[uint64]bool{}
	d.running.Go(func() { d.run(ctx) })
}

// set changes the limits of a delivery, also while it runs. Concurrency is in
// calls.
func (d *delivery) set(batch, concurrency int, window time.Duration) {
	d.mu.Lock()
	d.batch, d.window = batch, window
	d.mu.Unlock()
	d.slots.resize(concurrency)
}

// setEvent sets how events are made of messages, also while it runs. A nil event
// means that the function does not want the message.
func (d *delivery) setEvent(event func(message, taken) *api.CloudEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.event = event
}

// stop interrupts all calls and waits for them.
func (d *delivery) stop() {
	if d.cancel != nil {
		d.cancel()
		d.running.Wait()
	}
}

func (d *delivery) log() *slog.Logger {
	return d.b.log.With("stack", d.stack, "function", d.function)
}

func (d *delivery) run(ctx context.Context) {
	for failures := 0; d.slots.take(ctx); {
		d.mu.Lock()
		batch, window := d.batch, d.window
		d.mu.Unlock()
		got, err := d.source.take(ctx, batch, window)
		if len(got) == 0 {
			d.slots.release()
			if err != nil && ctx.Err() == nil {
				failures++
				d.log().Error("cannot take messages", "error", err)
				sleep(ctx, d.retry().pause(failures))
			}
			continue
		}
		failures = 0
		d.running.Go(func() {
			defer d.slots.release()
			d.deliver(ctx, got)
		})
	}
}

// sleep waits for a duration or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// An attempt is one message on its way through a call.
type attempt struct {
	taken taken
	msg   message
	event api.CloudEvent
}

// deliver calls the function once with what was taken and settles each message.
func (d *delivery) deliver(ctx context.Context, got []taken) {
	// Messages are settled even while the broker closes.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	d.mu.Lock()
	event := d.event
	d.mu.Unlock()
	var tries []attempt
	var events []api.CloudEvent
	for _, t := range got {
		m, err := t.load()
		if err != nil {
			d.log().Error("dropped a message that cannot be read", "sequence", t.sequence(), "error", err)
			d.report(t.done(settle))
			continue
		}
		ev := event(m, t)
		switch {
		case ev == nil:
			d.report(t.done(settle))
		case d.enter(t.sequence()):
			defer d.leave(t.sequence())
			tries = append(tries, attempt{t, m, *ev})
			events = append(events, *ev)
		}
	}
	if len(tries) == 0 {
		return
	}
	stop := d.keepHidden(tries)
	failed, err := d.b.opts.Caller.Call(ctx, Call{Stack: d.stack, Function: d.function, Events: events})
	stop()
	for _, a := range tries {
		switch {
		case err == nil && !slices.Contains(failed, a.event.ID):
			d.report(a.taken.done(settle))
		case ctx.Err() != nil:
			d.report(a.taken.again(settle, 0))
		default:
			reason := "the function reported a failure"
			if err != nil {
				reason = err.Error()
			}
			d.fail(settle, a, reason)
		}
	}
}

// fail has a message tried again, or buried after its last attempt.
func (d *delivery) fail(ctx context.Context, a attempt, reason string) {
	count := a.taken.count()
	limit := d.attempts(a.msg)
	if limit == 0 || count < limit {
		d.report(a.taken.again(ctx, d.retry().pause(count)))
		return
	}
	if err := d.bury(ctx, a.msg, a.event, count, reason); err != nil {
		d.log().Error("cannot dead-letter an event; it is tried again", "event", a.event.ID, "error", err)
		d.report(a.taken.again(ctx, d.retry().pause(count)))
		return
	}
	d.report(a.taken.done(ctx))
}

// report logs what went wrong when settling; the message then comes again once
// its hidden time is over.
func (d *delivery) report(err error) {
	if err != nil && !errors.Is(err, errGone) {
		d.log().Warn("cannot settle a message", "error", err)
	}
}

// enter notes that a message is in a call. It is false when it already is: the
// message came again because its hidden time was over, say when the machine
// slept, and the running call settles it.
func (d *delivery) enter(seq uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active[seq] {
		return false
	}
	d.active[seq] = true
	return true
}

func (d *delivery) leave(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.active, seq)
}

// keepHidden extends the hidden time of messages until the returned function
// is called.
func (d *delivery) keepHidden(tries []attempt) (stop func()) {
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(d.hidden() / 3)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				for _, a := range tries {
					d.report(a.taken.extend())
				}
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}
