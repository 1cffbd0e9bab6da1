package reactor

import "time"

// A hashed timer wheel: a ring of slots, each a list of the timers that are due in it. Setting a timer that already waits, to a
// later time, only stores the time; the timer is put into its new slot when the old one comes round. A connection therefore
// pays one store per request for its timeout.

// Tick is how exact timers are: one goes off up to a tick late, never early.
const Tick = 50 * time.Millisecond

const wheelSlots = 512 // 25.6 s for one round; timers further off go round again

// expirer is what a timer belongs to.
type expirer interface {
	// expire is called when the timer's time has come. The timer is stopped.
	expire()
}

// timer is one timeout, embedded in what it belongs to. The zero value is stopped.
type timer struct {
	next, prev *timer
	owner      expirer
	due        int64 // in ticks; 0 stopped
	slot       int64 // the tick it waits in
}

// wheel holds the timers of one reactor.
type wheel struct {
	lists  [wheelSlots]timer // list heads
	origin time.Time
	done   int64 // ticks handled
	count  int   // timers in the lists
}

func (w *wheel) start(now time.Time) {
	w.origin = now
	for i := range w.lists {
		head := &w.lists[i]
		head.next, head.prev = head, head
	}
}

// tickOf returns the first tick that is not before d after now.
func (w *wheel) tickOf(now time.Time, d time.Duration) int64 {
	return int64((now.Sub(w.origin) + d + Tick - 1) / Tick)
}

// set has t's owner called after d, or a tick later.
func (w *wheel) set(t *timer, now time.Time, d time.Duration) {
	t.due = max(w.tickOf(now, d), w.done+1)
	if t.next != nil {
		if t.due >= t.slot {
			return // lazily: it moves on when its slot comes round
		}
		w.unlink(t)
	}
	w.link(t)
}

// stop stops t; it stays in its list until its slot comes round, unless drop takes it out.
func (w *wheel) stop(t *timer) { t.due = 0 }

// drop stops t and takes it out, before its memory is used for something else.
func (w *wheel) drop(t *timer) {
	t.due = 0
	if t.next != nil {
		w.unlink(t)
	}
}

func (w *wheel) link(t *timer) {
	t.slot = min(t.due, w.done+wheelSlots-1)
	head := &w.lists[t.slot%wheelSlots]
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	w.count++
}

func (w *wheel) unlink(t *timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	w.count--
}

// advance calls the owners of all timers that are due.
func (w *wheel) advance(now time.Time) {
	for current := int64(now.Sub(w.origin) / Tick); w.done < current; {
		if w.count == 0 {
			w.done = current
			return
		}
		w.done++
		w.expireSlot(&w.lists[w.done%wheelSlots])
	}
}

// expireSlot empties one list: due timers fire, others go to a later slot, stopped ones go out.
func (w *wheel) expireSlot(head *timer) {
	for head.next != head {
		t := head.next
		w.unlink(t)
		switch {
		case t.due == 0:
		case t.due > w.done:
			w.link(t)
		default:
			t.due = 0
			t.owner.expire()
		}
	}
}

// timeout returns how long the reactor may sleep: until the next slot with a timer in it, for ever (-1) without timers.
func (w *wheel) timeout(now time.Time) time.Duration {
	if w.count == 0 {
		return -1
	}
	next := w.done + wheelSlots
	for i := w.done + 1; i < next; i++ {
		head := &w.lists[i%wheelSlots]
		if head.next != head {
			next = i
			break
		}
	}
	return max(w.origin.Add(time.Duration(next)*Tick).Sub(now), time.Millisecond)
}
