package dispatch

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// attachment is a request that every worker loop is given.
type attachment struct {
	open   []byte // its OPEN
	kind   exchange.Kind
	window int
	each   func(exchange.Stream) exchange.Upgrader
}

// attachPause is how long after its application has failed, or has found no room, an attachment is given to a loop again.
const attachPause = time.Second

// Attach gives a request to every worker loop, now and later.
func (e *Endpoint) Attach(req *exchange.Request, each func(exchange.Stream) exchange.Upgrader) exchange.Reason {
	open, _, err := wire.AppendOpen(nil, e.group.Frame, 0, req, uint32(req.Window))
	if err != nil {
		return exchange.HeadTooLarge
	}
	a := &attachment{open: open, kind: req.Kind, window: req.Window, each: each}
	e.attached = append(e.attached, a)
	for _, l := range e.links {
		l.attach(a)
	}
	return exchange.None
}

// attach gives an attachment to the link's loop. It takes a place without asking for one: there are few.
func (l *link) attach(a *attachment) {
	e := l.endpoint
	if l.broken || l.target.Threaded || l.target.draining.Load() || e.group.stopping.Load() {
		return
	}
	if !l.hasSlot() || !l.hasRoom(len(a.open)) {
		l.attachLater(a)
		return
	}
	s := e.newStream(nil)
	s.open = append(s.open, a.open...)
	s.kind, s.window, s.attachment = a.kind, a.window, a
	l.target.inFlight.Add(1)
	s.responder = a.each(s)
	if !l.write(s) { // the link has broken
		l.target.inFlight.Add(-1)
		s.responder.Fail(exchange.WorkerDied)
		e.recycle(s)
		return
	}
	s.state = sent
	l.untaken.push(s)
}

// attachLater does so in a while, if the loop is still there.
func (l *link) attachLater(a *attachment) {
	e := l.endpoint
	e.loop.After(attachPause, func() {
		if e.linkOf(l.wire) >= 0 {
			l.attach(a)
		}
	})
}
