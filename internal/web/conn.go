package web

import (
	"crypto/tls"
	"log/slog"

	"github.com/awaitd/awaitd/internal/cgi"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
	"github.com/awaitd/awaitd/internal/websocket"
)

// httpConn is one HTTP/1.1 connection, or one of a web server that speaks uwsgi or SCGI and asks once.
type httpConn struct {
	reactor.Conn
	s    *Server
	unix string        // path of the unix socket it came by
	x    *httpExchange // from the first byte of a head to the last of its response
	in   []byte        // received, not consumed: borrowed

	skip    int64        // bytes of an answered request's body that are to be dropped before the next head
	packets cgi.Protocol // in place of HTTP/1.1
	tls     *tls.Config  // comes first; nil: it does not
	proxied bool         // a PROXY protocol header is yet to come
}

// Input reads and handles what has arrived, until it has to wait for the peer or for the application.
func (c *httpConn) Input() {
	for !c.Closed() && !c.Closing() {
		switch x := c.x; {
		case x == nil && c.Pending():
			return // a client that does not read its answers gets no more of them: drained goes on
		case x == nil || !x.opened:
			if !c.readHead() {
				return
			}
		case x.wantsBody():
			if !c.readBody() {
				return
			}
		default:
			return
		}
	}
}

// readHead goes on with a request's head. It reports false when more bytes are needed.
func (c *httpConn) readHead() bool {
	if !c.skipped() {
		return false
	}
	buf := c.in
	if len(buf) == 0 || c.proxied || (c.x != nil && c.x.waits) {
		if !c.Readable() {
			return false
		}
		if buf = c.Receive(reactor.ReadSize); len(buf) == 0 {
			return false
		}
		if len(c.in) > 0 {
			c.in = c.Reactor().Append(c.in, buf)
			buf = c.in
		}
	}
	if c.proxied {
		return c.readProxy(buf)
	}
	if c.x == nil {
		c.x = c.s.borrow(c)
	}
	return c.parseHead(c.x, buf)
}

// skipped drops what is left of the body before. It reports false when more bytes are needed.
func (c *httpConn) skipped() bool {
	for c.skip > 0 {
		n := min(len(c.in), int(c.skip))
		switch {
		case n > 0:
			c.keep(c.in[n:])
		case c.Readable():
			n = len(c.Receive(int(min(c.skip, reactor.ReadSize))))
		}
		if n == 0 {
			return false
		}
		c.skip -= int64(n)
	}
	return true
}

// parseHead looks at buf, which begins with the head and is c.in or the reactor's read buffer.
func (c *httpConn) parseHead(x *httpExchange, buf []byte) bool {
	n, err := x.parse(buf)
	switch {
	case err != nil:
		x.head = c.unknownHead(buf)
		c.refuse(err)
		return false
	case n > 0:
		x.waits = false
		x.open(buf[n:])
		return true
	}
	if c.s.Full() {
		x.head = c.unknownHead(buf)
		c.refuse(errBuffersFull)
		return false
	}
	if len(c.in) == 0 {
		c.in = c.Reactor().Append(nil, buf)
	}
	if !x.waits {
		x.waits = true
		c.headTimer()
	}
	return true // read on: the next turn of input finds out if there is more
}

// headTimer starts the time a head may take.
func (c *httpConn) headTimer() {
	if t := c.s.cfg.HeaderTimeout; t > 0 {
		c.SetTimer(t)
	}
}

// keep stores what is left of buf after a part of it was consumed. rest is the end of buf.
func (c *httpConn) keep(rest []byte) {
	if len(rest) == 0 {
		if c.in != nil {
			c.Reactor().GiveBack(c.in)
			c.in = nil
		}
		return
	}
	if c.in == nil {
		c.in = c.Reactor().Append(nil, rest)
		return
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
}

// readBody passes on the next part of the request body, as far as the application gave credit.
func (c *httpConn) readBody() bool {
	x := c.x
	if len(x.held) > 0 {
		x.passHeld()
		return true
	}
	buf := c.in
	if len(buf) == 0 {
		if c.Readable() {
			buf = c.Receive(max(x.credit, minBodyRead))
		}
		if len(buf) == 0 {
			if !c.Closed() {
				x.bodyTimer()
			}
			return false
		}
	}
	return x.passBody(buf)
}

// minBodyRead is the least that is read of a body at once, however small the credit: framing needs room, too.
const minBodyRead = 4 << 10

// refuse answers a request that breaks a rule or a limit, and ends the connection.
func (c *httpConn) refuse(err *http1.Error) {
	if err.Status == 0 {
		c.reject(err)
		return
	}
	c.answer(err, refusalOfStatus(err.Status))
}

// reject ends a connection on which something else is spoken than what was agreed on: there is nobody to answer.
func (c *httpConn) reject(err error) {
	c.s.cfg.Refusals.Note(telemetry.Malformed, c.Reactor().Now(), slog.String("reason", err.Error()), c.peer())
	c.Lose()
}

// answer sends a short fixed response of the server's own and ends the connection; a running exchange is cancelled.
func (c *httpConn) answer(err *http1.Error, kind telemetry.Refusal) {
	c.s.cfg.Refusals.Note(kind, c.Reactor().Now(), slog.Int("status", err.Status), slog.String("reason", err.Reason), c.peer())
	x, status := c.x, err.Status
	o := c.ownOptions(status, true)
	head := &http1.Head{Version: exchange.HTTP11}
	if x != nil {
		head = &x.head
	}
	out := http1.AppendError(c.Reactor().Scratch[:0], head, status, &o, err.Reason)
	c.Reactor().Scratch = out[:0]
	c.Send(out, nil, "")
	if c.Closed() {
		return // the client left just now, and x went with it
	}
	if x != nil {
		x.status, x.written = status, bodyOf(head, err.Reason)
		x.abandon()
		c.release()
	}
	c.Shut(true)
}

// peer is who is connected, for the log.
func (c *httpConn) peer() slog.Attr { return slog.String("client", string(c.Client.AppendTo(nil))) }

// ownOptions are those of an answer of the server's own.
func (c *httpConn) ownOptions(status int, closing bool) http1.HeadOptions {
	o := c.options(closing)
	switch extra := o.Extra[:len(o.Extra):len(o.Extra)]; status {
	case 426:
		o.Extra, o.Upgrade = append(extra, websocket.ErrVersion.Lines...), true
	case 503:
		o.Extra = append(extra, "retry-after: 1\r\n"...)
	}
	return o
}

// options are the fields the server adds to every response.
func (c *httpConn) options(closing bool) http1.HeadOptions {
	o := http1.HeadOptions{Extra: c.s.cfg.Extra, Close: closing, CGI: c.packets == cgi.SCGI}
	if c.packets != 0 {
		return o // Date and Server are the web server's; it would pass on ours
	}
	o.Server = c.s.cfg.Server
	if c.s.cfg.Date {
		o.Date = c.s.dateLine(c.Reactor().Now())
	}
	return o
}

// release ends the connection's hold on its exchange.
func (c *httpConn) release() {
	x := c.x
	c.x = nil
	x.log()
	c.s.giveBack(x)
}

// next makes the connection ready for another request, or closes it.
func (c *httpConn) next(keep bool) {
	unread := !c.x.bodyRead()
	c.release()
	switch {
	case c.Closed():
	case !keep || c.s.Draining() || c.s.cfg.KeepAlive == 0:
		c.Shut(unread || c.Readable() || len(c.in) > 0)
	case len(c.in) > 0 || c.Readable():
		c.Reactor().Later(c) // the next request may be here already; the reactor's other connections come first
		fallthrough
	default:
		c.idleTimer()
	}
}

// idleTimer starts the time that the connection may be idle: once the response has left, however slowly the client reads.
func (c *httpConn) idleTimer() {
	if c.Pending() {
		c.StallTimer()
		return
	}
	c.SetTimer(c.s.cfg.KeepAlive)
}

// Resume goes on with what had arrived while an exchange ran.
func (c *httpConn) Resume() {
	if c.x == nil && !c.Closed() && !c.Closing() {
		c.Input()
	}
}

// Drained is called when all output has left: the application may send more, or the client ask for more.
func (c *httpConn) Drained() {
	switch {
	case c.x == nil:
		c.idleTimer()
		c.Reactor().Later(c)
	case c.x.sending:
		c.x.fileSent()
	default:
		c.StopTimer()
		switch {
		case c.x.bodyRead():
			c.hungTimer()
		case c.x.wantsBody():
			c.x.bodyTimer()
		}
		c.x.grant()
	}
}

// Among says whose connection it is. What goes on with it in place of HTTP/1.1 (by Conn.Speak) embeds the httpConn it was: so it still
// is the server's, and is counted when it has ended.
func (c *httpConn) Among() *reactor.Connections { return &c.s.Connections }

// Leave closes an idle connection, unless a request has arrived that was not read yet.
func (c *httpConn) Leave() {
	if c.x != nil || c.Closing() {
		return
	}
	if c.Look(); c.x == nil && !c.Closed() && !c.Closing() {
		c.Shut(c.skip > 0)
	}
}

// Abort closes the connection at once.
func (c *httpConn) Abort() { c.Lose() }

// Hangup is called when the client has finished sending. With a request under way that mostly means that it has left, so a
// request that waits for a worker is never started. But some say all they have to say like that, and then listen: what is
// answered at once still goes out (docs/decisions/0002-client-fin.md).
func (c *httpConn) Hangup() bool {
	x := c.x
	switch {
	case x == nil || !x.opened || x.wantsBody():
		return true
	case !x.bodyRead():
		return x.wholeBodyHere()
	case x.stream != nil && x.stream.Worker() == "":
		return false
	}
	c.hungTimer()
	return true
}

// hungTime is how long an application has for its answer, or for its next part, after the client has finished sending.
const hungTime = 2 * reactor.Tick

// hungTimer starts that time, but for a client that has not taken all its output: writing tells whether that is still there.
func (c *httpConn) hungTimer() {
	if c.Hung() {
		c.SetTimer(hungTime)
	}
}

// Lost is called when the client is gone.
func (c *httpConn) Lost() {
	if c.x != nil {
		c.x.abandon()
		c.release()
	}
}

// Ended is called when the connection was closed, whatever the reason.
func (c *httpConn) Ended() {
	c.s.Left()
	if c.in != nil {
		c.Reactor().GiveBack(c.in)
		c.in = nil
	}
}

// Expire ends what took too long.
func (c *httpConn) Expire() {
	x := c.x
	switch {
	case c.Pending():
		c.lapse(telemetry.SendTimeout)
	case x != nil && x.opened && c.Hung() && x.bodyRead():
		c.Lose()
	case x == nil || (!x.opened && !x.begun()):
		c.Lose() // idle: nothing is owed
	case !x.opened:
		x.head = c.unknownHead(c.in)
		c.answer(errHeaderTimeout, telemetry.HeaderTimeout)
	case x.wantsBody() && !x.responded:
		c.answer(errBodyTimeout, telemetry.BodyTimeout)
	case x.wantsBody():
		c.lapse(telemetry.BodyTimeout)
	}
}

// lapse cuts a connection off whose client took too long in the middle of a response. By a reset: what the kernel still holds for
// it is dropped, and the client can't take the cut for the end.
func (c *httpConn) lapse(kind telemetry.Refusal) {
	c.s.cfg.Refusals.Note(kind, c.Reactor().Now(), c.peer())
	c.Reset()
}
