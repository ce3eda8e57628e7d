package host

// A line holds waiters by source and lets them out one source after the other,
// each source in order. The zero line is empty.
type line struct {
	sources []string // in turn
	waiting map[string][]*waiter
	size    int
}

func (l *line) push(source string, w *waiter) {
	if l.waiting == nil {
		l.waiting = map[string][]*waiter{}
	}
	if len(l.waiting[source]) == 0 {
		l.sources = append(l.sources, source)
	}
	l.waiting[source] = append(l.waiting[source], w)
	l.size++
}

// pop returns the next waiter, or nil.
func (l *line) pop() *waiter {
	if l.size == 0 {
		return nil
	}
	source := l.sources[0]
	l.sources = l.sources[1:]
	w := l.waiting[source][0]
	l.waiting[source] = l.waiting[source][1:]
	l.size--
	if len(l.waiting[source]) > 0 {
		l.sources = append(l.sources, source)
	} else {
		delete(l.waiting, source)
	}
	return w
}

func (l *line) drop(w *waiter) {
	for si, source := range l.sources {
		for i, other := range l.waiting[source] {
			if other != w {
				continue
			}
			l.waiting[source] = append(l.waiting[source][:i], l.waiting[source][i+1:]...)
			l.size--
			if len(l.waiting[source]) == 0 {
				delete(l.waiting, source)
				l.sources = append(l.sources[:si], l.sources[si+1:]...)
			}
			return
		}
	}
}

func (l *line) all() []*waiter {
	var list []*waiter
	for _, source := range l.sources {
		list = append(list, l.waiting[source]...)
	}
	return list
}
