package broker

import "time"

// A Clock tells the time and wakes up at a time.
type Clock interface {
	Now() time.Time
	// At returns a channel that receives once Now is not before t, and a
	// function that gives the wait up. It may receive early.
	At(t time.Time) (<-chan time.Time, func())
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// longestSleep bounds one wait: timers stand still while a machine sleeps, so
// what is due later would come that much too late.
const longestSleep = time.Minute

func (systemClock) At(t time.Time) (<-chan time.Time, func()) {
	timer := time.NewTimer(min(time.Until(t), longestSleep))
	return timer.C, func() { timer.Stop() }
}
