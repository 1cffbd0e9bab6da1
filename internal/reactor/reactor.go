// Package reactor is the event loop: one goroutine locked to a thread, which owns its connections, timers and buffers.
//
// Invariants. Everything that belongs to a reactor is touched by its own goroutine alone; other goroutines reach it through Post.
// Descriptors are non-blocking and watched edge-triggered: who stops reading or writing before the kernel said "would block"
// remembers that it did. A connection holds buffers only while bytes are pending. Nothing here blocks but the one wait for
// events.
//
// What is spoken on a connection is a Protocol, which embeds the Conn it speaks on. The reactor knows neither what it says nor the
// pool behind it: rings are Sources that it polls, arms before it sleeps, and flushes at the end of a turn.
package reactor

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Source is a queue in memory that the reactor reads besides its descriptors: the rings of an endpoint.
type Source interface {
	// Poll handles what has arrived, a bounded amount, and returns how much that was.
	Poll() int
	// Flush publishes what was written during this turn.
	Flush()
	// Arm says that the reactor is about to sleep. It reports false if there is something to handle after all.
	Arm() bool
	// Disarm says that the reactor is awake.
	Disarm()
	// Wait is how long the reactor may sleep at most before it polls again; negative for ever.
	Wait() time.Duration
}

// handler is what owns a watched descriptor.
type handler interface {
	// ready is called with what the kernel reported.
	ready(ev events)
}

// Resumer is what put work off to the end of the turn.
type Resumer interface {
	// Resume goes on with it.
	Resume()
}

// events is what a descriptor became ready for.
type events uint8

const (
	readable events = 1 << iota
	writable
	hangup // the peer has sent all it will send
	failed // the connection is broken
)

// slot is an entry of the descriptor table. The generation tells an event for a closed descriptor from one for its successor.
type slot struct {
	h   handler
	gen uint32
}

// Reactor is one event loop. Make it with New, run it with Run. All of it but Post is for its own goroutine, or for whoever sets
// it up before it runs.
type Reactor struct {
	// SendTimeout is the longest a peer may take none of the output that waits for it; 0 for ever.
	SendTimeout time.Duration
	// Scratch is where what is about to be sent is put together. Who let it grow leaves the longer one here.
	Scratch []byte

	poller
	slots   []slot
	free    []uint32
	wheel   wheel
	source  Source
	again   []Resumer // work put off to the end of the turn
	spare   []Resumer
	now     time.Time
	read    []byte // what a read goes to; bytes that stay are copied out of it
	pieces  buffers
	packets *packetsIn // what datagrams are received to; nil without a socket for them
	shakes  handshakes
	clear   []byte // what is about to be sealed is put together here
	sealed  []byte // what TLS has made of it, on its way to the socket

	mu      sync.Mutex
	posted  []func()
	sleeps  atomic.Bool // set while the reactor may sleep: Post must wake it
	stopped bool
}

// ReadSize is the most that one read takes: a large upload's window.
const ReadSize = 64 << 10

// New makes a reactor. Close it when it does not run.
func New() (*Reactor, error) {
	r := &Reactor{read: make([]byte, ReadSize), shakes: newHandshakes()}
	if err := r.poller.open(); err != nil {
		return nil, err
	}
	r.now = time.Now()
	r.wheel.start(r.now)
	return r, nil
}

// Attach sets the source of the reactor, before it runs.
func (r *Reactor) Attach(s Source) { r.source = s }

// Now is the time at the start of the turn: good enough for timeouts and logs, and free.
func (r *Reactor) Now() time.Time { return r.now }

// Post has f called on the reactor's goroutine. It may be called from any goroutine and never blocks.
func (r *Reactor) Post(f func()) {
	r.mu.Lock()
	r.posted = append(r.posted, f)
	r.mu.Unlock()
	if r.sleeps.CompareAndSwap(true, false) {
		r.wake()
	}
}

// Later has x resumed at the end of this turn.
func (r *Reactor) Later(x Resumer) { r.again = append(r.again, x) }

// Stop ends Run at the end of the turn.
func (r *Reactor) Stop() { r.stopped = true }

// Watch calls f, on the reactor's goroutine, whenever fd becomes readable. The descriptor is watched edge-triggered and never
// read here. The returned function ends it; it must be called before fd is closed.
func (r *Reactor) Watch(fd int, f func()) (stop func(), err error) {
	id, err := r.register(fd, watch{fd, f}, interestBell)
	if err != nil {
		return nil, err
	}
	return func() { r.unregister(fd, id) }, nil
}

// After calls f on the reactor's goroutine, once, after d.
func (r *Reactor) After(d time.Duration, f func()) {
	a := &alarm{f: f}
	a.timer.owner = a
	r.wheel.set(&a.timer, r.now, d)
}

// alarm is a timer that belongs to nothing.
type alarm struct {
	timer timer
	f     func()
}

func (a *alarm) expire() { a.f() }

// watch is the handler of a doorbell.
type watch struct {
	fd int
	f  func()
}

func (w watch) ready(events) {
	quiet(w.fd)
	w.f()
}

// register puts a descriptor into the table and into the poller.
func (r *Reactor) register(fd int, h handler, in interest) (uint32, error) {
	var id uint32
	if n := len(r.free); n > 0 {
		id, r.free = r.free[n-1], r.free[:n-1]
	} else {
		id = uint32(len(r.slots))
		r.slots = append(r.slots, slot{})
	}
	r.slots[id].h = h
	if err := r.poller.add(fd, id, r.slots[id].gen, in); err != nil {
		r.release(id)
		return 0, err
	}
	return id, nil
}

// unregister takes a descriptor out of both. Closing it afterwards is the caller's.
func (r *Reactor) unregister(fd int, id uint32) {
	r.poller.remove(fd)
	r.release(id)
}

// release frees an entry of the table; the poller forgets a descriptor by itself when it is closed.
func (r *Reactor) release(id uint32) {
	r.slots[id].h = nil
	r.slots[id].gen++
	r.free = append(r.free, id)
}

// Each calls f for the protocol of every connection; f may close the connection.
func (r *Reactor) Each(f func(Protocol)) {
	for i := range r.slots {
		if c, ok := r.slots[i].h.(*Conn); ok {
			f(c.proto)
		}
	}
}

// Run turns until Stop. It locks its goroutine to a thread.
func (r *Reactor) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !r.stopped {
		r.turn()
	}
}

// turn is one round: sources, descriptors, timers, posted work, and a flush; it sleeps when there was nothing to do.
func (r *Reactor) turn() {
	worked := r.source.Poll()
	n := r.look()
	if n == 0 && worked == 0 && len(r.again) == 0 {
		n = r.sleep()
	}
	r.now = time.Now()
	for i := range n {
		if id, gen, ev := r.event(i); id != wakeSlot {
			if s := r.slots[id]; s.gen == gen && s.h != nil {
				s.h.ready(ev)
			}
		}
	}
	r.wheel.advance(r.now)
	r.runPosted()
	r.runAgain()
	r.source.Flush()
}

// sleep waits for the next event, timer, doorbell or posted call, unless one came since the last look.
func (r *Reactor) sleep() int {
	r.sleeps.Store(true)
	if r.hasPosted() || !r.source.Arm() {
		r.sleeps.Store(false)
		return 0
	}
	timeout := r.wheel.timeout(time.Now())
	if most := r.source.Wait(); most >= 0 && (timeout < 0 || timeout > most) {
		timeout = most
	}
	n := r.wait(timeout)
	r.source.Disarm()
	r.sleeps.Store(false)
	return n
}

func (r *Reactor) hasPosted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.posted) > 0
}

// runPosted runs what other goroutines asked for.
func (r *Reactor) runPosted() {
	r.mu.Lock()
	if len(r.posted) == 0 {
		r.mu.Unlock()
		return
	}
	calls := r.posted
	r.posted = nil
	r.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// runAgain runs what was put off during this turn; what that puts off waits for the next.
func (r *Reactor) runAgain() {
	if len(r.again) == 0 {
		return
	}
	calls := r.again
	r.again = r.spare[:0]
	for i, x := range calls {
		x.Resume()
		calls[i] = nil
	}
	r.spare = calls
}

// Close frees the poller, after Run has returned.
func (r *Reactor) Close() { r.poller.close() }
