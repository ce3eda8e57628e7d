package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/anyfaas/anyfaas/stacks"
)

// A lock lies among Pulumi's own lock files and starts with the same fields, so
// that `pulumi up` sees ours and we see Pulumi's; ours always has the same name,
// so that of two of us exactly one can create it.
//
// A holder on this machine that no longer runs is replaced. A holder elsewhere
// is never: it may only be out of reach. Then the user decides and unlocks.
type lockFile struct {
	PID       int       `json:"pid"`
	Username  string    `json:"username"`
	Hostname  string    `json:"hostname"`
	Timestamp time.Time `json:"timestamp"`

	Own *ownLock `json:"anyfaas,omitempty"` // absent in Pulumi's files
}

type ownLock struct {
	Run       string      `json:"run"` // a name for this one run
	Operation string      `json:"operation"`
	Process   processName `json:"process"`
	Heartbeat time.Time   `json:"heartbeat"`
}

const (
	ownLockName       = "anyfaas.json"
	heartbeatInterval = 10 * time.Second
	// staleAfter is how long a holder may be silent before its lock is shown
	// as stale. It is far above the interval since clocks of machines differ.
	staleAfter = 5 * time.Minute
)

// A lock is a held lock. Lost is closed when somebody else removed it.
type lock struct {
	Lost <-chan struct{}

	store store
	key   string
	file  lockFile

	stop context.CancelFunc
	done sync.WaitGroup
}

// acquire takes the lock of the stack. replaced is the dead holder whose lock
// was taken over, if any. The error is a *stacks.LockedError when somebody else
// holds it.
func acquire(ctx context.Context, s store, id stacks.ID, operation string) (l *lock, replaced *stacks.Holder, err error) {
	if err := ensureMeta(ctx, s); err != nil {
		return nil, nil, err
	}
	self, err := thisProcess()
	if err != nil {
		return nil, nil, err
	}
	userName, hostName := person()
	now := time.Now().UTC()
	l = &lock{store: s, key: lockRoot(id) + ownLockName, file: lockFile{
		PID: self.PID, Username: userName, Hostname: hostName, Timestamp: now,
		Own: &ownLock{Run: uuid.NewString(), Operation: operation, Process: self, Heartbeat: now},
	}}
	data, err := json.Marshal(l.file)
	if err != nil {
		return nil, nil, err
	}

	// Without the guard two processes could both find the same dead holder, and
	// the second would remove the lock of the first.
	release, err := s.Guard(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer release()

	err = s.Create(ctx, l.key, data)
	if isThere(err) {
		held, rerr := readLock(ctx, s, l.key)
		if rerr != nil {
			return nil, nil, rerr
		}
		if held != nil && held.process().look() != dead {
			return nil, nil, &stacks.LockedError{ID: id, Holder: held.holder(now)}
		}
		if held != nil {
			h := held.holder(now)
			replaced = &h
		}
		if err := s.Delete(ctx, l.key); err != nil {
			return nil, nil, err
		}
		err = s.Create(ctx, l.key, data)
	}
	if err != nil {
		if isThere(err) { // another machine was faster
			if held, rerr := readLock(ctx, s, l.key); rerr == nil && held != nil {
				return nil, nil, &stacks.LockedError{ID: id, Holder: held.holder(now)}
			}
		}
		return nil, nil, fmt.Errorf("lock: %w", err)
	}
	// Pulumi writes its own file first and looks for others afterwards. We do
	// the same, so at least one of the two sees the other.
	others, err := locksOf(ctx, s, id)
	if err != nil {
		s.Delete(context.WithoutCancel(ctx), l.key)
		return nil, nil, err
	}
	for key, other := range others {
		if key != l.key {
			s.Delete(context.WithoutCancel(ctx), l.key)
			return nil, nil, &stacks.LockedError{ID: id, Holder: other.holder(now)}
		}
	}
	l.beat(ctx)
	return l, replaced, nil
}

// beat renews the heartbeat until release.
func (l *lock) beat(ctx context.Context) {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	lost := make(chan struct{})
	l.Lost = lost
	l.done.Go(func() {
		tick := time.NewTicker(heartbeatInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if l.renew(ctx) == errLockLost {
				close(lost)
				return
			}
		}
	})
}

var errLockLost = errors.New("the lock of the stack was removed by somebody else while this run was going on")

// renew writes a new heartbeat if the lock is still ours. Other errors than
// errLockLost are passing ones: the next beat tries again.
func (l *lock) renew(ctx context.Context) error {
	release, err := l.store.Guard(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := l.check(ctx); err != nil {
		return err
	}
	l.file.Own.Heartbeat = time.Now().UTC()
	data, err := json.Marshal(l.file)
	if err != nil {
		return err
	}
	return l.store.Put(ctx, l.key, data)
}

// check returns errLockLost unless the lock is still ours.
func (l *lock) check(ctx context.Context) error {
	held, err := readLock(ctx, l.store, l.key)
	if err != nil {
		return err
	}
	if held == nil || held.Own == nil || held.Own.Run != l.file.Own.Run {
		return errLockLost
	}
	return nil
}

// release gives the lock back.
func (l *lock) release(ctx context.Context) error {
	l.stop()
	l.done.Wait()
	ctx = context.WithoutCancel(ctx)
	release, err := l.store.Guard(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := l.check(ctx); err != nil {
		return err
	}
	return l.store.Delete(ctx, l.key)
}

// readLock returns the lock in key, or nil when there is none. A power cut may
// have left one that cannot be read: then nothing is known of its holder, and it
// takes an unlock.
func readLock(ctx context.Context, s store, key string) (*lockFile, error) {
	data, err := s.Read(ctx, key)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f lockFile
	if json.Unmarshal(data, &f) != nil {
		return &lockFile{Username: "unknown", Hostname: "unknown", Own: &ownLock{Operation: "unknown operation"}}, nil
	}
	return &f, nil
}

// locksOf returns the locks of the stack by key, Pulumi's included.
func locksOf(ctx context.Context, s store, id stacks.ID) (map[string]*lockFile, error) {
	list, err := s.List(ctx, lockRoot(id))
	if err != nil {
		return nil, err
	}
	locks := map[string]*lockFile{}
	for _, e := range list {
		f, err := readLock(ctx, s, e.Key)
		if err != nil {
			return nil, err
		}
		if f != nil {
			locks[e.Key] = f
		}
	}
	return locks, nil
}

func (f *lockFile) process() processName {
	if f.Own == nil {
		return processName{} // Pulumi does not record enough to tell
	}
	return f.Own.Process
}

// holder describes who holds the lock, as of now.
func (f *lockFile) holder(now time.Time) stacks.Holder {
	h := stacks.Holder{
		User: f.Username, Host: f.Hostname, PID: f.PID,
		Command: "pulumi", Since: f.Timestamp, Heartbeat: f.Timestamp,
	}
	if f.Own != nil {
		h.Command, h.Heartbeat = f.Own.Operation, f.Own.Heartbeat
		switch f.Own.Process.look() {
		case dead:
			h.Stale = true
		case unknown:
			h.Stale = now.Sub(f.Own.Heartbeat) > staleAfter
		}
	}
	return h
}

// Lock returns who holds the stack, or nil.
func (e *Engine) Lock(ctx context.Context, id stacks.ID) (*stacks.Holder, error) {
	s, err := e.open(ctx, id)
	if err != nil {
		return nil, err
	}
	return holderOf(ctx, s, id)
}

func holderOf(ctx context.Context, s store, id stacks.ID) (*stacks.Holder, error) {
	locks, err := locksOf(ctx, s, id)
	if err != nil {
		return nil, err
	}
	var first *stacks.Holder
	for _, f := range locks {
		if h := f.holder(time.Now()); first == nil || h.Since.Before(first.Since) {
			first = &h
		}
	}
	return first, nil
}

// Unlock removes every lock of the stack, Pulumi's included, whoever holds it. A
// run of ours that still goes on notices, stops and records what it did.
func (e *Engine) Unlock(ctx context.Context, id stacks.ID) error {
	s, err := e.open(ctx, id)
	if err != nil {
		return err
	}
	release, err := s.Guard(ctx)
	if err != nil {
		return err
	}
	defer release()
	locks, err := locksOf(ctx, s, id)
	if err != nil {
		return err
	}
	for key := range locks {
		if err := s.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
