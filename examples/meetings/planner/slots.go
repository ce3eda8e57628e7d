package planner

import (
	"fmt"
	"time"
)

// A Question asks when people can meet: on a day (UTC, YYYY-MM-DD), in zones,
// from an hour inclusive to an hour exclusive of everybody's own clock.
type Question struct {
	Date  string   `json:"date"`
	Zones []string `json:"zones"`
	From  int      `json:"from"`
	To    int      `json:"to"`
}

// A Slot is one hour that suits everybody: its beginning in UTC and on the
// clock of each zone asked for.
type Slot struct {
	UTC   string            `json:"utc"`
	Local map[string]string `json:"local"`
}

// Slots returns the hours that suit everybody, in order. It never returns nil
// without an error, so that JSON shows an empty list.
func (q Question) Slots() ([]Slot, error) {
	day, err := time.Parse(time.DateOnly, q.Date)
	if err != nil {
		return nil, fmt.Errorf(`"date" must be a day like 2026-03-30, not %q`, q.Date)
	}
	if q.From < 0 || q.To > 24 || q.From >= q.To {
		return nil, fmt.Errorf(`"from" and "to" must be hours with 0 <= from < to <= 24, not %d and %d`, q.From, q.To)
	}
	if len(q.Zones) == 0 || len(q.Zones) > 20 {
		return nil, fmt.Errorf(`"zones" must name 1 to 20 time zones, not %d`, len(q.Zones))
	}
	zones := make([]*time.Location, len(q.Zones))
	for i, name := range q.Zones {
		if zones[i], err = load(name); err != nil {
			return nil, err
		}
	}

	slots := []Slot{}
	for hour := range 24 {
		at := day.Add(time.Duration(hour) * time.Hour)
		slot := Slot{UTC: at.Format(time.RFC3339), Local: map[string]string{}}
		for i, loc := range zones {
			local := at.In(loc)
			// The hour must also end in time: zones with half hours begin at :30.
			if begin := float64(local.Hour()) + float64(local.Minute())/60; begin < float64(q.From) || begin+1 > float64(q.To) {
				break
			}
			slot.Local[q.Zones[i]] = local.Format(time.RFC3339)
		}
		if len(slot.Local) == len(unique(q.Zones)) {
			slots = append(slots, slot)
		}
	}
	return slots, nil
}

func unique(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}
