package reactor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Accepter makes connections of what a listener accepts.
type Accepter interface {
	// Accept takes over a socket that was accepted, most likely by Conn.Open. A client on a unix socket has that family and no more.
	Accept(fd int, client exchange.Address)
}

// listener is one listening socket on one reactor.
type listener struct {
	r     *Reactor
	fd    int
	id    uint32
	to    Accepter
	timer timer
	onErr func(error)
	off   bool // out of the poller: paused, or closed
	short bool // something was lacking when it last accepted
}

const (
	acceptBatch = 64                     // per turn: accepting must not starve the connections there are
	maxBacklog  = 1 << 16                // the kernel holds no more of them
	acceptPause = 200 * time.Millisecond // after EMFILE and its like: until then nothing would change
)

// Listen has the reactor accept connections from a listening socket, which must be non-blocking. It may be on other reactors as
// well. What goes wrong with accept goes to onErr, once until it goes well again, which is a nil. The returned function ends it; the
// socket is the caller's to close.
func (r *Reactor) Listen(fd int, to Accepter, onErr func(error)) (stop func(), err error) {
	l := &listener{r: r, fd: fd, to: to, onErr: onErr}
	l.timer.owner = l
	l.id, err = r.register(fd, l, interestListener)
	return l.stop, err
}

// stop ends the listener. Connections that wait are taken: with the socket's end they would be reset.
func (l *listener) stop() {
	if !l.off {
		l.accept(maxBacklog)
	}
	if !l.off {
		l.off = true
		l.r.unregister(l.fd, l.id)
	}
	l.r.wheel.drop(&l.timer)
}

func (l *listener) ready(events) { l.accept(acceptBatch) }

// accept takes at most n connections.
func (l *listener) accept(n int) {
	for range n {
		fd, client, err := acceptSocket(l.fd)
		switch {
		case err == nil:
			l.to.Accept(fd, client)
		case errors.Is(err, unix.EAGAIN):
			if l.short { // and has accepted all that waited
				l.short = false
				l.onErr(nil)
			}
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		default:
			l.pause(err)
			return
		}
	}
}

// pause stops accepting for a while: with no descriptor left, the socket would stay readable and the reactor would spin.
func (l *listener) pause(err error) {
	if !l.short {
		l.short = true
		l.onErr(err)
	}
	l.off = true
	l.r.unregister(l.fd, l.id)
	l.r.wheel.set(&l.timer, l.r.now, acceptPause)
}

func (l *listener) expire() {
	id, err := l.r.register(l.fd, l, interestListener)
	if err != nil {
		l.r.wheel.set(&l.timer, l.r.now, acceptPause)
		return
	}
	l.id, l.off = id, false
}
