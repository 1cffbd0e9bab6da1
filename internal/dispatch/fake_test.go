package dispatch

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// fakeLoop is an event loop that turns only when the test says so, with a clock that only the test moves.
type fakeLoop struct {
	mu     sync.Mutex
	posted []func()
	now    time.Time
	alarms []alarm
	bells  int // watched doorbells
}

type alarm struct {
	at time.Time
	f  func()
}

func (l *fakeLoop) Post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted = append(l.posted, f)
}
func (l *fakeLoop) Now() time.Time { return l.now }
func (l *fakeLoop) After(d time.Duration, f func()) {
	l.alarms = append(l.alarms, alarm{l.now.Add(d), f})
}

func (l *fakeLoop) Watch(int, func()) (func(), error) {
	l.bells++
	return func() { l.bells-- }, nil
}

func (l *fakeLoop) runPosted() {
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

// advance moves the clock and sounds the alarms that are due.
func (l *fakeLoop) advance(d time.Duration) {
	for end := l.now.Add(d); l.now.Before(end); {
		l.now = l.now.Add(min(queueTick, end.Sub(l.now)))
		due := l.alarms
		l.alarms = nil
		for _, a := range due {
			if a.at.After(l.now) {
				l.alarms = append(l.alarms, a)
			} else {
				a.f()
			}
		}
	}
}

// setting is a pool's request path with fake loops: no process, no goroutine.
type setting struct {
	t         testing.TB
	group     *Group
	endpoints []*Endpoint
	loops     []*fakeLoop
}

func newSetting(t testing.TB, endpoints int) *setting {
	limits := Limits{Frame: wire.MinRing / 4, Queue: 100, QueueWait: time.Second}
	s := &setting{t: t, group: NewGroup(limits, slog.New(slog.DiscardHandler))}
	for range endpoints {
		l := &fakeLoop{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
		s.endpoints = append(s.endpoints, s.group.Endpoint(l))
		s.loops = append(s.loops, l)
	}
	return s
}

// turn is one turn of every loop.
func (s *setting) turn() {
	for i, e := range s.endpoints {
		e.Poll()
		s.loops[i].runPosted()
		e.Flush()
	}
}

// fakeWorker is a worker loop in this process: it plays the other end of its links' rings, as docs/reference/wire.md has it,
// with code that shares nothing with package wire's.
type fakeWorker struct {
	s        *setting
	target   *Target
	bell     *wire.Bell
	ends     []*workerEnd // one for each endpoint
	violated error
	dead     bool
}

// workerEnd is the worker's end of one link.
type workerEnd struct {
	link    *wire.Link
	mem     []byte
	size    int
	read    uint64 // of the to-worker ring
	written uint64 // of the to-server ring
	started []*started
}

// started is a request that the worker has taken.
type started struct {
	id       uint32
	credit   int  // of response
	body     int  // bytes of request body received
	answered bool // its HEAD is out
	gone     bool
	socket   bool // it is a WebSocket's
	closed   exchange.CloseCode
	messages []string // of a WebSocket; parts that are not the last end with an ellipsis
}

func (s *setting) worker(name string, limit int64) *fakeWorker {
	s.t.Helper()
	bell, err := wire.NewBell()
	if err != nil {
		s.t.Fatal(err)
	}
	w := &fakeWorker{s: s, bell: bell, target: &Target{Name: name, Limit: limit, Descriptors: worker.NewDescriptors()}}
	w.target.Violated = func(err error) { w.violated = err }
	w.target.Stuck, w.target.Worn = func(string) {}, func() {}
	for _, e := range s.endpoints {
		l, err := wire.NewLink(wire.MinRing, bell)
		if err != nil {
			s.t.Fatal(err)
		}
		size := l.Size()
		mem, err := unix.Mmap(l.Descriptors()[0], 0, 4096+2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			s.t.Fatal(err)
		}
		w.ends = append(w.ends, &workerEnd{link: l, mem: mem, size: size})
		if err := e.Add(l, w.target); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(func() {
		w.die()
		for _, e := range w.ends {
			_ = unix.Munmap(e.mem)
		}
		bell.Close()
	})
	return w
}

// die ends the worker; the endpoints drop its links.
func (w *fakeWorker) die() {
	if w.dead {
		return
	}
	w.dead = true
	for i, e := range w.s.endpoints {
		e.Drop(w.ends[i].link)
	}
	w.target.Descriptors.Close()
}

func (e *workerEnd) word(at int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&e.mem[at])) }

func (e *workerEnd) flag(at int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&e.mem[at])) }

// peek returns the next frame in the to-worker ring, or nil.
func (e *workerEnd) peek() []byte {
	for e.read < e.word(128).Load() {
		at := 4096 + int(e.read%uint64(e.size))
		n := binary.LittleEndian.Uint32(e.mem[at:])
		if binary.LittleEndian.Uint32(e.mem[at+4:]) == 0xFFFFFFFF {
			e.read += uint64(n)
			continue
		}
		return e.mem[at : at+int(n)]
	}
	return nil
}

// done moves the head past the frame that peek returned. It reports whether the server wants to hear of it.
func (e *workerEnd) done(frame []byte) bool {
	e.read += uint64(len(frame))
	e.word(64).Store(e.read)
	return e.flag(256).CompareAndSwap(1, 0)
}

// take reads frames until it has started a request, or there is none.
func (e *workerEnd) take() *started {
	for frame := e.peek(); frame != nil; frame = e.peek() {
		id, kind := binary.LittleEndian.Uint32(frame[4:]), wire.Type(frame[8])
		length := int(binary.LittleEndian.Uint32(frame[12:]))
		var r *started
		switch kind {
		case wire.Open:
			if (*atomic.Uint32)(unsafe.Pointer(&frame[16])).CompareAndSwap(0, 1) {
				r = &started{id: id, socket: frame[20] == byte(exchange.WebSocket), credit: int(binary.LittleEndian.Uint32(frame[48:])), body: length}
				e.started = append(e.started, r)
			}
		case wire.Window:
			e.on(id, func(r *started) { r.credit += length })
		case wire.Data:
			e.on(id, func(r *started) { r.body += length })
		case wire.Message:
			part := string(frame[wire.HeaderSize : wire.HeaderSize+length])
			if frame[9]&wire.More != 0 {
				part += "…"
			}
			e.on(id, func(r *started) { r.messages = append(r.messages, part) })
		case wire.End:
			e.on(id, func(r *started) { r.messages = append(r.messages, "end") })
		case wire.Reset:
			e.on(id, func(r *started) { r.gone = true })
		case wire.Close:
			code := exchange.CloseCode(binary.LittleEndian.Uint16(frame[10:]))
			e.on(id, func(r *started) { r.gone, r.closed = true, code })
		}
		e.done(frame)
		if r != nil {
			return r
		}
	}
	return nil
}

func (e *workerEnd) on(id uint32, f func(*started)) {
	for _, r := range e.started {
		if r.id == id {
			f(r)
		}
	}
}

// send writes a frame to the server. It reports false if there is no room.
func (e *workerEnd) send(frame []byte) bool {
	at := int(e.written % uint64(e.size))
	need, rest := len(frame), e.size-at
	if rest < len(frame) {
		need += rest
	}
	if e.size-int(e.written-e.word(320).Load()) < need {
		return false
	}
	data := e.mem[4096+e.size:]
	if need > len(frame) {
		binary.LittleEndian.PutUint32(data[at:], uint32(rest))
		binary.LittleEndian.PutUint32(data[at+4:], 0xFFFFFFFF)
		at = 0
	}
	copy(data[at:], frame)
	e.written += uint64(need)
	e.word(384).Store(e.written)
	return true
}

// say sends a frame made of its parts.
func (e *workerEnd) say(h wire.Header, payload []byte) bool {
	return e.send(wire.AppendFrame(nil, h, payload))
}

// head sends a HEAD with a body and without fields.
func (e *workerEnd) head(id uint32, status uint16, body string, end bool) bool {
	h := wire.Header{Stream: id, Type: wire.Head, Aux: status, Length: uint32(len(body))}
	if end {
		h.Flags = wire.EndStream
	}
	return e.say(h, append(make([]byte, 8), body...))
}

func (e *workerEnd) data(id uint32, body string, end bool) bool {
	h := wire.Header{Stream: id, Type: wire.Data, Length: uint32(len(body))}
	if end {
		h.Flags = wire.EndStream
	}
	return e.say(h, []byte(body))
}

// fakeClient is the protocol's side of an exchange; it checks that nothing is heard after the end.
type fakeClient struct {
	t      testing.TB
	name   string
	stream exchange.Stream
	status int
	body   []byte
	credit int
	ended  bool
	failed exchange.Reason
	gone   bool // cancelled by itself
	order  *[]string
	socket *fakeSocket // once it is accepted
}

// fakeSocket is the protocol's side of an accepted WebSocket.
type fakeSocket struct {
	c           *fakeClient
	subprotocol string
	fields      int
	messages    []string
	broadcasts  []uint64 // their IDs
	closed      exchange.CloseCode
	reason      string
}

func (c *fakeClient) call() {
	c.t.Helper()
	if c.ended || c.gone {
		c.t.Errorf("%s is told something after its end", c.name)
	}
}

func (c *fakeClient) end() {
	c.ended = true
	if c.order != nil {
		*c.order = append(*c.order, c.name)
	}
}
func (c *fakeClient) Inform(*exchange.Response) { c.call() }
func (c *fakeClient) Respond(r *exchange.Response) {
	c.call()
	if c.status != 0 {
		c.t.Errorf("%s got two heads", c.name)
	}
	c.status, c.body = r.Status, append(c.body, r.Body...)
	if r.End {
		c.end()
	}
}

func (c *fakeClient) Data(p []byte, end bool) {
	c.call()
	c.body = append(c.body, p...)
	if end {
		c.end()
	}
}
func (c *fakeClient) Trailers([]byte, []exchange.Field) { c.call(); c.end() }
func (c *fakeClient) Credit(n int)                      { c.call(); c.credit += n }
func (c *fakeClient) Fail(r exchange.Reason)            { c.call(); c.failed = r; c.end() }

func (c *fakeClient) Accept(a *exchange.Acceptance) exchange.Socket {
	c.call()
	if c.status != 0 {
		c.t.Errorf("%s is accepted after its answer", c.name)
	}
	c.status = 101
	leave := c.socket != nil // before: its client leaves now
	c.socket = &fakeSocket{c: c, subprotocol: string(a.Subprotocol.Of(a.Buf)), fields: len(a.Fields)}
	if leave {
		c.cancel()
	}
	return c.socket
}

func (s *fakeSocket) Message(p []byte, kind exchange.MessageKind, more bool) {
	s.c.call()
	part := fmt.Sprint(kind, " ", string(p))
	if more {
		part += "…"
	}
	s.messages = append(s.messages, part)
}

func (s *fakeSocket) Broadcast(b *exchange.Broadcast) {
	s.broadcasts = append(s.broadcasts, b.ID)
	s.Message(b.Payload, b.Kind, false)
}

func (s *fakeSocket) Close(code exchange.CloseCode, reason []byte) {
	s.c.call()
	s.closed, s.reason = code, string(reason)
	s.c.end()
}

func (s *fakeSocket) Credit(n int) { s.c.call(); s.c.credit = n }

// A TCP connection's, besides.

func (s *fakeSocket) End() { s.c.call(); s.messages = append(s.messages, "end") }

func (s *fakeSocket) Leave()                 { s.c.call(); s.messages = append(s.messages, "leave") }
func (s *fakeSocket) Fail(r exchange.Reason) { s.c.call(); s.c.failed = r; s.c.end() }

// File takes a part of a small file.
func (c *fakeClient) File(f exchange.File) {
	c.call()
	b := make([]byte, 100)
	if f.Count >= 0 {
		b = b[:min(f.Count, 100)]
	}
	n, err := unix.Pread(f.Descriptor, b, f.Offset)
	if err != nil {
		c.t.Error(err)
	}
	c.body = append(c.body, b[:max(n, 0)]...)
	_ = unix.Close(f.Descriptor)
	c.end()
}

// request is a small request.
func request(path, body string) *exchange.Request {
	req := &exchange.Request{Kind: exchange.HTTP, Version: exchange.HTTP11, End: true, Window: 1000, Body: []byte(body), ContentLength: int64(len(body))}
	req.Buf = []byte("GET" + path)
	req.Method, req.Path = exchange.Span{Start: 0, End: 3}, exchange.Span{Start: 3, End: uint32(3 + len(path))}
	return req
}

// open opens an exchange on the i-th endpoint.
func (s *setting) open(i int, name string) *fakeClient {
	return s.openAs(i, name, exchange.HTTP)
}

// openAs opens an exchange of a kind.
func (s *setting) openAs(i int, name string, kind exchange.Kind) *fakeClient {
	s.t.Helper()
	c := &fakeClient{t: s.t, name: name}
	req := request("/"+name, "")
	req.Kind = kind
	stream, reason := s.endpoints[i].Open(req, c)
	if stream == nil {
		c.failed, c.ended = reason, true
		return c
	}
	c.stream = stream
	return c
}

func (c *fakeClient) cancel() {
	if !c.ended && !c.gone {
		c.gone = true
		c.stream.Cancel()
	}
}

// atRest checks that nothing is held by anyone.
func (s *setting) atRest() {
	s.t.Helper()
	if n := s.group.queued.Load(); n != 0 {
		s.t.Errorf("%d requests are counted as queued", n)
	}
	for i, e := range s.endpoints {
		if e.queue.len() != 0 || e.offers != 0 || e.waiting.Load() != 0 {
			s.t.Errorf("endpoint %d: %d in the queue, %d offered, %d counted", i, e.queue.len(), e.offers, e.waiting.Load())
		}
		for _, l := range e.links {
			if n, late, sockets := l.target.Running(), l.target.Late(), l.target.Sockets(); n != 0 || late != 0 || sockets != 0 {
				s.t.Errorf("%s has %d in flight, %d late, %d sockets", l.target.Name, n, late, sockets)
			}
			if len(l.free) != len(l.slots) || l.ahead() != 0 {
				s.t.Errorf("%s: %d of %d slots are free, %d not taken", l.target.Name, len(l.free), len(l.slots), l.ahead())
			}
		}
	}
}
