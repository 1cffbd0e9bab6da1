package datagram

import (
	"slices"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
)

// taker is a worker loop that has a share of a socket's datagrams. It is the Upgrader that its stream begins with, and the Pipe that it
// goes on with.
type taker struct {
	exchange.Flow
	exchange.Unanswered
	door     *door
	stream   exchange.Stream // nil once it is over
	seed     uint64          // decides which peers are its
	credit   int             // what it takes now
	moved    int             // counts what was sent and received
	long     []byte          // the parts so far of a datagram that is longer than a frame
	accepted bool
	leaving  bool
}

// quietTime is how long a taker that is to go has sent nothing when it does.
const quietTime = time.Second

// Accept is called when an application takes the socket.
func (t *taker) Accept(*exchange.Acceptance) exchange.Socket {
	t.accepted, t.Window = true, window
	t.door.takers = append(t.door.takers, t)
	t.door.hear()
	return t
}

// Message sends a datagram, whose first bytes say to whom; more: it goes on. One that can't be sent is dropped.
func (t *taker) Message(p []byte, _ exchange.MessageKind, more bool) {
	if more || len(t.long) > 0 {
		t.long = append(t.long, p...) // no more than its credit
		if more {
			return
		}
		p, t.long = t.long, nil
	}
	t.moved++
	if len(p) >= headerSize {
		switch peer, ok := getPeer(p); {
		case ok && len(p) <= headerSize+reactor.MaxPacket:
			t.door.packets.Send(peer, p[headerSize:], t)
			return
		case ok:
			t.door.Sent(t, peer, len(p)-headerSize, syscall.EMSGSIZE)
			return
		}
	}
	t.Owed += len(p)
	t.grant()
}

// grant lets the application send as much again as has left.
func (t *taker) grant() {
	if t.stream == nil {
		return
	}
	if n := t.RefillSome(window); n > 0 {
		t.stream.Grant(n)
	}
}

// Credit is what the application takes now.
func (t *taker) Credit(n int) { t.credit = n }

// End has no meaning for datagrams: a worker that tries is killed before.
func (t *taker) End() {}

// Close ends the taker for an application that has closed the socket.
func (t *taker) Close(exchange.CloseCode, []byte) { t.drop() }

// Fail ends it: its application has failed, or its worker is gone.
func (t *taker) Fail(exchange.Reason) { t.drop() }

// drop takes it off the socket.
func (t *taker) drop() {
	if t.stream == nil {
		return
	}
	t.stream = nil
	d := t.door
	d.remove(t)
	d.all = without(d.all, t)
	d.s.Left()
}

// remove gives a taker's peers to others.
func (d *door) remove(t *taker) {
	d.takers = without(d.takers, t)
	d.hear()
}

func without(list []*taker, t *taker) []*taker {
	return slices.DeleteFunc(list, func(x *taker) bool { return x == t })
}

// Leave gives its peers to others, and ends it as soon as it has sent nothing for a while.
func (t *taker) Leave() {
	if t.leaving {
		return
	}
	t.leaving = true
	if !t.accepted {
		t.end()
		return
	}
	t.door.remove(t)
	t.wait()
}

func (t *taker) wait() {
	moved := t.moved
	t.door.s.r.After(quietTime, func() {
		switch {
		case t.stream == nil:
		case t.moved != moved:
			t.wait()
		default:
			t.end()
		}
	})
}

// end tells the application that the socket is closed.
func (t *taker) end() {
	if s := t.stream; s != nil {
		t.drop()
		s.Close(exchange.CloseRestarting, nil)
	}
}
