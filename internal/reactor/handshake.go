package reactor

import (
	"io"
	"slices"
)

// handshakes bounds those of one reactor: how many are under way, since each has a goroutine, and how many compute, since that takes
// a processor from everybody else for up to milliseconds.
type handshakes struct {
	live  int
	turns chan struct{}
}

// mostHandshakes is how many may be under way at once: each takes about 30 KB. Those who would be more are turned away.
const mostHandshakes = 2048

func newHandshakes() handshakes { return handshakes{turns: make(chan struct{}, 1)} }

// handshake is the beginning of a connection with TLS: a goroutine that the reactor feeds with what the socket has, when it asks. It
// begins with the peer's first byte.
//
// Of the layer, the goroutine has conn and kept from begin to the call of finish, and nothing else.
type handshake struct {
	l     *layer
	fed   chan []byte // what was received; closed: no more comes
	wants bool        // the goroutine waits for more, or is yet to begin
	begun bool
	ended bool // fed is closed
}

// feed hands what has arrived to the handshake, if that waits for it.
func (l *layer) feed() {
	c, h := l.c, l.shake
	if !h.wants || h.ended {
		return
	}
	var b []byte
	if h.begun || len(l.kept) == 0 {
		if !c.canRead {
			return
		}
		n, again := readSocket(int(c.fd), c.r.read)
		switch {
		case again:
			c.canRead = false
			return
		case n <= 0:
			c.canRead = false
			if h.end(); !h.begun {
				c.Lose() // it never said a word
				return
			}
		default:
			c.canRead = n == len(c.r.read) || c.hung
			b = slices.Clone(c.r.read[:n])
		}
	}
	h.wants = false
	switch {
	case !h.begun:
		l.kept = append(l.kept, b...)
		l.begin()
	case b != nil:
		h.fed <- b
	}
}

// begin starts the handshake, whose first bytes are here.
func (l *layer) begin() {
	c, h := l.c, l.shake
	h.begun = true
	all := &c.r.shakes
	if all.live >= mostHandshakes {
		l.over(errHandshakes)
		return
	}
	all.live++
	go func() { // ends with the connection at the latest: then nothing is left to wait for
		all.turns <- struct{}{}
		err := l.conn.Handshake()
		<-all.turns
		c.r.Post(func() {
			all.live--
			l.finish(err)
		})
	}()
}

// wait returns what comes next; nil for nothing. Only for the handshake's goroutine.
func (h *handshake) wait() []byte {
	r := h.l.c.r
	<-r.shakes.turns // others compute meanwhile
	r.Post(func() {
		if h.wants = true; !h.l.c.closed {
			h.l.feed()
		}
	})
	b := <-h.fed
	r.shakes.turns <- struct{}{}
	return b
}

// post has the reactor send b. Only for the handshake's goroutine.
func (h *handshake) post(b []byte) {
	c := h.l.c
	c.r.Post(func() {
		if !c.closed && !c.closing {
			c.put(b, nil, "")
		}
	})
}

// end tells the goroutine that no more comes.
func (h *handshake) end() {
	if !h.ended {
		h.ended = true
		close(h.fed)
	}
}

// finish goes on when the goroutine has ended.
func (l *layer) finish(err error) {
	if l.shake != nil && !l.c.closed && !l.c.closing {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		l.over(err)
	}
}

// lapse ends a handshake that has taken too long.
func (l *layer) lapse() { l.over(errHandshakeTime) }

// over tells the protocol, and has it go on if there is no error.
func (l *layer) over(err error) {
	c := l.c
	c.r.wheel.stop(&c.timer)
	if err == nil {
		state := l.conn.ConnectionState()
		l.shake, l.told = nil, describe(&state)
		c.canRead = true // what the goroutine was fed last may be more than the handshake
		if l.done(nil); !c.closed && !c.closing {
			c.inputReady()
		}
		return
	}
	l.silent = true
	l.shake.end()
	if l.done(err); !c.closed && !c.closing {
		c.Shut(true)
	}
}

// setTimer starts the time for the handshake.
func (l *layer) setTimer() {
	if l.limit > 0 {
		l.c.r.wheel.set(&l.c.timer, l.c.r.now, l.limit)
	}
}
