package reactor

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// layer is TLS between a protocol and its socket. What the protocol sends and receives is plain; what it may be told, and when, stays
// the same. crypto/tls does all of it over a net.Conn of ours that never waits: it reads what the socket has, and then an error that
// leaves crypto/tls as it was; what it writes goes where all output goes.
//
// Only the handshake has to wait, and computes for long. So it runs on a goroutine of its own, which the reactor feeds: see handshake.
type layer struct {
	c      *Conn
	conn   *tls.Conn
	shake  *handshake // under way; nil: it is over
	done   func(error)
	limit  time.Duration // for the handshake; 0: none
	told   []byte        // to applications, of what was agreed on
	kept   []byte        // received, and not yet taken by crypto/tls
	owed   int           // bytes that the peer has made crypto/tls answer while output was pending
	dry    bool          // the socket has nothing now
	silent bool          // nothing more is said: the peer was told so, or there was no handshake
}

// mostOwed is how much crypto/tls may have to say to a peer that takes nothing: a peer can ask for new keys (RFC 8446 §4.6.3) without
// end.
const mostOwed = 16 << 10

// errAgain is how a net.Conn says that it has nothing now; crypto/tls goes on later behind an error that is temporary.
var errAgain = &againError{}

type againError struct{}

func (*againError) Error() string   { return "nothing to read now" }
func (*againError) Timeout() bool   { return true }
func (*againError) Temporary() bool { return true }

// errors of handshakes that are not crypto/tls's.
var (
	errHandshakeTime = errors.New("the TLS handshake took too long")
	errHandshakes    = errors.New("too many TLS handshakes at once")
)

// Secure puts TLS between the protocol and the peer, with the server's side of a handshake first: the protocol hears nothing until that
// is over, and done is called. Then it has its Input, for the peer's first bytes came with the handshake perhaps; or, on an error, is
// Shut when done returns, unless that has ended the connection or taken TLS off by Plain. received is what the peer has sent
// already. limit is how long the handshake may take, 0 for ever.
func (c *Conn) Secure(cfg *tls.Config, received []byte, limit time.Duration, done func(error)) {
	l := &layer{c: c, done: done, limit: limit, kept: append([]byte(nil), received...)}
	l.conn = tls.Server(l, cfg)
	l.shake = &handshake{l: l, fed: make(chan []byte, 1), wants: true}
	c.tls = l
	l.setTimer()
	if len(l.kept) > 0 || c.canRead {
		l.feed()
	}
}

// Secured says what the handshake has agreed on, for applications (docs/reference/wire.md); nothing without TLS, or before it is over.
func (c *Conn) Secured() []byte {
	if c.tls == nil {
		return nil
	}
	return c.tls.told
}

// Plain takes TLS off a connection whose handshake has failed, so that a peer who speaks something else can be told so.
func (c *Conn) Plain() { c.tls = nil }

// shaking says whether a handshake is under way.
func (c *Conn) shaking() bool { return c.tls != nil && c.tls.shake != nil && !c.tls.silent }

// send seals the pieces, in order, and sends them.
func (l *layer) send(head, body []byte, tail string) {
	if l.shake != nil || l.silent {
		return // the protocol gives the connection up before there is anybody to tell
	}
	r := l.c.r
	if len(head)+len(body)+len(tail) <= mostJoined {
		r.clear = append(append(append(r.clear[:0], head...), body...), tail...)
		_, _ = l.conn.Write(r.clear) // to Write below, which never fails
	} else {
		_, _ = l.conn.Write(head)
		_, _ = l.conn.Write(body)
		if tail != "" {
			_, _ = l.conn.Write([]byte(tail))
		}
	}
	l.flush()
}

// mostJoined is how many bytes are put together for one record: as many as one holds (RFC 8446 §5.1).
const mostJoined = 16 << 10

// flush sends what crypto/tls has written. It reports false if the peer is gone.
func (l *layer) flush() bool {
	c := l.c
	if out := c.r.sealed; len(out) > 0 {
		c.r.sealed = nil // what is called may seal more
		c.put(out, nil, "")
		if cap(out) <= keepSealed {
			c.r.sealed = out[:0]
		}
	}
	return !c.closed
}

// keepSealed is the largest buffer for records that is kept.
const keepSealed = 256 << 10

// receive reads what the peer has sent to b.
func (l *layer) receive(b []byte) []byte {
	c := l.c
	if l.shake != nil {
		c.canRead = false
		return nil
	}
	n, err := l.conn.Read(b)
	if !c.Pending() {
		l.owed = 0
	}
	l.owed += len(c.r.sealed)
	if !l.flush() {
		return nil
	}
	switch {
	case l.owed > mostOwed && c.Pending():
		c.Lose()
	case n > 0:
		c.canRead = true // or not: the next call finds out, by what lies here and in crypto/tls
		return b[:n]
	default:
		// An end without a goodbye is one all the same, as it is for asyncio: half of all clients say none.
		c.nothing(err == errAgain, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// goodbye tells the peer that no more is sent. It reports whether that has left, or there is nobody to tell.
func (l *layer) goodbye() bool {
	if l.shake == nil && !l.silent {
		l.silent = true
		_ = l.conn.CloseWrite()
		l.flush()
	}
	return !l.c.closed && !l.c.Pending()
}

// close ends what is under way.
func (l *layer) close() {
	if l.shake != nil {
		l.shake.end()
	}
}

// Read is for crypto/tls.
func (l *layer) Read(b []byte) (int, error) {
	if len(l.kept) == 0 && l.shake != nil {
		if l.kept = l.shake.wait(); l.kept == nil {
			return 0, io.EOF
		}
	}
	if n := copy(b, l.kept); n > 0 {
		if l.kept = l.kept[n:]; len(l.kept) == 0 {
			l.kept = nil
		}
		return n, nil
	}
	if l.dry {
		return 0, errAgain
	}
	n, again := readSocket(int(l.c.fd), b)
	switch {
	case n > 0:
		l.dry = n < len(b) && !l.c.hung // see Conn.Receive
		return n, nil
	case again:
		l.dry = true
		return 0, errAgain
	case n == 0:
		return 0, io.EOF
	}
	return 0, net.ErrClosed
}

// Write is for crypto/tls.
func (l *layer) Write(b []byte) (int, error) {
	if l.shake != nil {
		l.shake.post(append([]byte(nil), b...))
	} else {
		l.c.r.sealed = append(l.c.r.sealed, b...)
	}
	return len(b), nil
}

// Close and the rest of a net.Conn have no meaning here.
func (l *layer) Close() error                     { return nil }
func (l *layer) LocalAddr() net.Addr              { return nil }
func (l *layer) RemoteAddr() net.Addr             { return nil }
func (l *layer) SetDeadline(time.Time) error      { return nil }
func (l *layer) SetReadDeadline(time.Time) error  { return nil }
func (l *layer) SetWriteDeadline(time.Time) error { return nil }
