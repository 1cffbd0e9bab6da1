package dispatch

import (
	"slices"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// link is an endpoint's link to one worker loop, with the streams on it.
type link struct {
	endpoint *Endpoint
	wire     *wire.Link
	target   *Target
	slots    []linkSlot
	free     []uint32
	untaken  fifo     // streams whose OPEN the worker has not taken, in the order of the ring
	offered  fifo     // streams that wait, whose OPEN lies in the ring behind those
	backlog  [][]byte // frames that found the ring full
	used     uint64   // the ticket of the last dispatch
	heard    uint64   // frames from the worker
	unwatch  func()
	still    standstill
	pulse    pulse
	revoked  bool // requests were: the worker must be told
	telling  telling
	broken   bool // the worker broke the wire's rules, and is being killed
}

// linkSlot is an entry of the stream table. The generation tells frames of an old stream from those of its successor.
type linkSlot struct {
	s   *stream
	gen uint32
}

// open says whether the link takes a request of n bytes now.
func (l *link) open(n int) bool { return l.hasPlace() && l.hasRoom(n) }

// hasPlace says whether the worker may run one more.
func (l *link) hasPlace() bool {
	return !l.broken && !l.still.stalled && !l.target.draining.Load() && l.target.inFlight.Load() < l.target.Limit && l.hasSlot()
}

// hasSlot says whether the link can carry one more stream.
func (l *link) hasSlot() bool { return len(l.free) > 0 || len(l.slots) < wire.MaxStreams }

// hasRoom says whether a request of n bytes fits the ring.
func (l *link) hasRoom(n int) bool { return len(l.backlog) == 0 && l.wire.Out.Fits(n) }

// before says whether the link is a better choice than other for a stream.
func (l *link) before(other *link, s *stream) bool {
	l.refresh()
	other.refresh()
	if a, b := l.target.load(), other.target.load(); s.upgrades() && a != b {
		return a < b // it is there to stay, so balance counts more than a moment's wait
	}
	if a, b := l.untaken.len(), other.untaken.len(); a != b {
		return a < b
	}
	if a, b := l.target.inFlight.Load(), other.target.inFlight.Load(); a != b {
		return a < b
	}
	return l.used > other.used
}

// awaitRoom asks the worker to ring back when it has made room for a request of n bytes, if room is all that is missing. It
// reports true if there is room already.
func (l *link) awaitRoom(n int) bool {
	if l.broken || l.target.draining.Load() || l.target.inFlight.Load() >= l.target.Limit || len(l.backlog) > 0 {
		return false // something else will come first, and have the queue looked at
	}
	l.wire.Publish() // the worker must see what is there before it can make room
	room, err := l.wire.Out.Await(n)
	if l.check(err) {
		return false
	}
	if l.still.stalled {
		return l.revived()
	}
	return room
}

// start writes a stream's OPEN to the ring.
func (l *link) start(s *stream) bool {
	if l.target.inFlight.Add(1) > l.target.Limit {
		l.target.inFlight.Add(-1) // another endpoint was first
		return false
	}
	if !l.write(s) {
		l.target.inFlight.Add(-1)
		return false
	}
	l.given(s)
	return true
}

// given notes that a stream, whose OPEN is in the ring, has a place with the worker.
func (l *link) given(s *stream) {
	s.state = sent
	l.untaken.push(s)
	l.target.serve()
	l.endpoint.watchDeadlines()
	l.endpoint.watchHealth()
}

// write puts a stream's OPEN into the ring.
func (l *link) write(s *stream) bool {
	l.place(s)
	wire.SetStream(s.open, s.id)
	ok, err := l.wire.Out.Write(s.open)
	if !ok {
		l.vacate(s)
		l.check(err)
		return false
	}
	l.endpoint.ticket++
	l.used = l.endpoint.ticket
	s.link, s.end = l, l.wire.Out.Position()
	return true
}

// place gives a stream a slot and an id.
func (l *link) place(s *stream) {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		slot = uint32(len(l.slots))
		l.slots = append(l.slots, linkSlot{})
	}
	l.slots[slot].s = s
	s.id = wire.StreamID(slot, l.slots[slot].gen)
}

// vacate takes the slot back.
func (l *link) vacate(s *stream) {
	slot, _ := wire.Slot(s.id)
	l.slots[slot].s = nil
	l.slots[slot].gen++
	l.free = append(l.free, slot)
}

// find returns the stream of a frame; nil for one that has ended.
func (l *link) find(id uint32) *stream {
	slot, ok := wire.Slot(id)
	if !ok || int(slot) >= len(l.slots) {
		return nil
	}
	if s := l.slots[slot].s; s != nil && s.id == id {
		return s
	}
	return nil
}

// refresh looks which requests the worker has taken by now.
func (l *link) refresh() {
	if l.untaken.len()+l.offered.len() == 0 {
		return
	}
	head, err := l.wire.Out.Consumed()
	l.check(err) // head is where it was last found sane
	for s := l.offered.front(); s != nil && s.end <= head; s = l.offered.front() {
		l.promote(s)
	}
	for s := l.untaken.front(); s != nil && s.end <= head; s = l.untaken.front() {
		s.took()
	}
}

// ping asks the worker's loop for a sign of life.
func (l *link) ping() { l.send(wire.Header{Type: wire.Ping}, make([]byte, 8)) }

// send writes a frame, or keeps it until the ring has room.
func (l *link) send(h wire.Header, payload []byte) {
	if l.broken {
		return
	}
	if len(l.backlog) == 0 {
		ok, err := l.wire.Out.WriteParts(h, payload)
		if ok || l.check(err) {
			return
		}
	}
	l.backlog = append(l.backlog, wire.AppendFrame(l.endpoint.frame(), h, payload))
	if l.offered.len() > 0 {
		l.withdraw() // what nobody takes holds the room behind it
	}
}

// flush shows the worker what was written, and asks it to ring back if there is more than the ring holds.
func (l *link) flush() {
	if l.broken {
		return
	}
	if len(l.backlog) > 0 {
		l.unblock()
	}
	l.wire.Publish()
	if l.revoked {
		l.revoked = false
		l.wire.Wake()
	}
}

// unblock writes frames that waited for room.
func (l *link) unblock() {
	written := 0
	for written < len(l.backlog) && l.writeWaiting(l.backlog[written]) {
		l.endpoint.keepFrame(l.backlog[written])
		written++
	}
	l.backlog = slices.Delete(l.backlog, 0, written)
	if len(l.backlog) == 0 {
		l.endpoint.pump()
	}
}

// writeWaiting writes a frame, or has the worker ring when there is room for it. It reports whether the frame is written.
func (l *link) writeWaiting(frame []byte) bool {
	for {
		ok, err := l.wire.Out.Write(frame)
		if l.check(err) || ok {
			return !l.broken
		}
		l.wire.Publish() // the worker must see what is there before it can make room
		room, err := l.wire.Out.Await(len(frame))
		if l.check(err) || !room {
			return false
		}
	}
}

// poll handles at most max frames from the worker, and returns how many there were. A broadcast counts for each that it is for.
func (l *link) poll(max int) int {
	n := 0
	for n < max && !l.broken {
		if l.telling.left() {
			n += l.tell(max - n)
			continue
		}
		f, ok, err := l.wire.In.Next()
		if l.check(err) || !ok {
			break
		}
		l.check(l.handle(f))
		l.heard++
		n++
	}
	if n > 0 && !l.broken && !l.telling.left() {
		l.wire.Release()
	}
	return n
}

// check marks the link as broken, and has the worker killed, if err is not nil. It reports whether it is broken.
func (l *link) check(err error) bool {
	if err != nil && !l.broken {
		l.broken = true
		l.target.Violated(err)
	}
	return l.broken
}

// close ends the link after its worker is gone.
func (l *link) close() {
	for !l.broken && l.poll(framesPerTurn) > 0 { // what it still said
	}
	l.refresh()
	l.unwatch()
	l.takeBack()
	var again []*stream
	for i := range l.slots {
		switch s := l.slots[i].s; {
		case s == nil:
		case s.state == late:
			s.release()
		case s.repeatable && !s.responded:
			s.repeat()
			again = append(again, s)
		default:
			s.fail(exchange.WorkerDied)
		}
	}
	l.endpoint.requeue(again)
	l.broken = true
	l.wire.Close()
}

// takeBack takes back every request that the worker has not started. The link must have been refreshed.
func (l *link) takeBack() {
	l.withdraw()
	var again []*stream
	for s := l.untaken.front(); s != nil; s = l.untaken.front() {
		if s.attachment == nil && l.revoke(s) { // what this loop is given is for no other
			l.untaken.pop()
			l.target.inFlight.Add(-1)
			again = append(again, s)
		} else {
			s.took()
		}
	}
	l.endpoint.requeue(again)
}

// requeue puts requests that were taken back to the front of the queue, in their order. Their wait begins now.
func (e *Endpoint) requeue(streams []*stream) {
	for i := len(streams) - 1; i >= 0; i-- {
		e.group.queued.Add(1) // over the limit if need be: they had been accepted
		e.waiting.Add(1)
		streams[i].since = e.loop.Now()
		e.queue.pushFront(streams[i])
	}
	if len(streams) > 0 {
		e.watchQueue()
	}
}
