package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/anyfaas/anyfaas/providers/local/api"
	"go.etcd.io/bbolt"
)

// latePastDue is the delay from which a tick says that it is past due.
const latePastDue = 2 * longestSleep

// A schedule fires a function at the times of a cron expression, or every so
// often, counted from when it was first applied. Times come from the rule and
// the last firing, never from when a firing was handled, so nothing drifts.
//
// Firings that were missed, because the host was down or the machine slept,
// are not all made up for: the last of them fires once, marked past due. The
// first application of a schedule, or of another rule, fires nothing at once.
type schedule struct {
	trigger eventTrigger
	spec    api.ScheduleSpec
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// A scheduleState is what is kept of a schedule.
type scheduleState struct {
	Rule string    `json:"rule"`
	From time.Time `json:"from"` // start of the rows of "every"
	Last time.Time `json:"last"` // nothing up to here fires again
}

// A tick is the data of a schedule's event.
type tick struct {
	ScheduledTime string          `json:"scheduledTime"`
	PastDue       bool            `json:"pastDue"`
	Input         json.RawMessage `json:"input,omitempty"`
}

// A timetable returns the first time to fire after one.
type timetable func(after time.Time) time.Time

// timetableOf reads the rule of a spec.
func timetableOf(spec api.ScheduleSpec) (rule string, next func(from time.Time) timetable, err error) {
	if (spec.Cron == "") == (spec.Every == 0) {
		return "", nil, errors.New("a schedule has either cron or every")
	}
	if spec.Cron == "" {
		every := time.Duration(spec.Every)
		if every < time.Second {
			return "", nil, fmt.Errorf("every must be at least a second, not %s", every)
		}
		return "every " + every.String(), func(from time.Time) timetable {
			return func(after time.Time) time.Time {
				return from.Add((after.Sub(from)/every + 1) * every)
			}
		}, nil
	}
	zone, err := time.LoadLocation(spec.Timezone)
	if err != nil {
		return "", nil, fmt.Errorf("timezone: %w", err)
	}
	c, err := parseCron(spec.Cron, zone)
	if err != nil {
		return "", nil, err
	}
	return "cron " + spec.Cron + " " + zone.String(), func(time.Time) timetable { return c.next }, nil
}

func (s *schedule) apply(ctx context.Context, raw json.RawMessage) (api.Outputs, error) {
	var spec api.ScheduleSpec
	if err := decodeSpec(raw, &spec); err != nil {
		return nil, err
	}
	rule, table, err := timetableOf(spec)
	if err != nil {
		return nil, err
	}
	out, err := s.trigger.b.startOutbox()
	if err != nil {
		return nil, err
	}
	s.stopTicking()
	state, err := s.resume(out.db, rule)
	if err != nil {
		return nil, err
	}
	if err := s.trigger.apply(ctx, spec.Function, s.subject(), nil); err != nil {
		return nil, err
	}
	s.spec = spec
	ticking, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { s.run(ticking, out, spec, table(state.From), state) })
	return s.trigger.b.outputs(s.trigger.key), nil
}

func (s *schedule) subject() string {
	return eventSubject(s.trigger.key.stack, "schedule", s.trigger.key.name)
}

func (s *schedule) stateKey() []byte {
	return []byte(s.trigger.key.stack + "/" + s.trigger.key.name)
}

// resume returns the kept state of the same rule, or a new one that starts now.
func (s *schedule) resume(db *bbolt.DB, rule string) (scheduleState, error) {
	now := s.trigger.b.opts.Clock.Now().UTC()
	state := scheduleState{Rule: rule, From: now, Last: now}
	err := db.Update(func(tx *bbolt.Tx) error {
		var kept scheduleState
		if v := tx.Bucket(schedulesBucket).Get(s.stateKey()); v != nil {
			if err := json.Unmarshal(v, &kept); err != nil {
				return err
			}
		}
		if kept.Rule == rule {
			state = kept
			return nil
		}
		return s.save(tx, state)
	})
	return state, err
}

func (s *schedule) save(tx *bbolt.Tx, state scheduleState) error {
	v, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return tx.Bucket(schedulesBucket).Put(s.stateKey(), v)
}

func (s *schedule) run(ctx context.Context, out *outbox, spec api.ScheduleSpec, next timetable, state scheduleState) {
	clock := s.trigger.b.opts.Clock
	for failures := 0; ctx.Err() == nil; {
		due := next(state.Last)
		wake, giveUp := clock.At(due)
		select {
		case <-ctx.Done():
			giveUp()
			return
		case <-wake:
		}
		now := clock.Now()
		if now.Before(due) {
			continue
		}
		for later := next(due); !later.After(now); later = next(due) {
			due = later
		}
		fired := state
		fired.Last = due.UTC()
		if err := s.fire(out, spec, fired, now); err != nil {
			failures++
			s.trigger.b.log.Error("cannot fire a schedule; trying again", "schedule", s.trigger.key, "error", err)
			sleep(ctx, s.trigger.b.opts.Retry.pause(failures))
			continue
		}
		state, failures = fired, 0
	}
}

// fire stores the event of a tick together with the fact that it fired.
func (s *schedule) fire(out *outbox, spec api.ScheduleSpec, state scheduleState, now time.Time) error {
	key := s.trigger.key
	data, err := json.Marshal(tick{
		ScheduledTime: state.Last.Format(time.RFC3339),
		PastDue:       now.Sub(state.Last) >= latePastDue,
		Input:         spec.Input,
	})
	if err != nil {
		return err
	}
	id := key.stack + "/" + key.name + "@" + state.Last.Format(time.RFC3339)
	err = out.db.Update(func(tx *bbolt.Tx) error {
		ev := newEvent("schedule.tick.v1", "/schedules/"+key.name, id, state.Last, data)
		return errors.Join(s.save(tx, state), out.put(tx, outboxEntry{Stack: key.stack, Subject: s.subject(), Event: ev}))
	})
	out.wake()
	return err
}

func (s *schedule) stopTicking() {
	if s.cancel != nil {
		s.cancel()
		s.running.Wait()
		s.cancel = nil
	}
}

func (s *schedule) stop(context.Context) error {
	s.stopTicking()
	s.trigger.stop()
	return nil
}

func (s *schedule) remove(ctx context.Context) error {
	db, err := s.trigger.b.records()
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(schedulesBucket).Delete(s.stateKey()) })
	return errors.Join(err, s.trigger.remove(ctx))
}
