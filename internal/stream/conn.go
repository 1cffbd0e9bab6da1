package stream

import (
	"log/slog"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// conn is one TCP connection. It is the Upgrader that its stream begins with, and the Pipe that it goes on with.
type conn struct {
	reactor.Conn
	door   *door
	stream exchange.Stream // nil before it is handed over, and once the application's side is over
	exchange.Flow
	exchange.Unanswered
	in       []byte // the PROXY protocol header and what came with it: bounded by the longest header and one read
	credit   int    // what the application takes now
	moved    int    // counts what was sent and received, as far as it tells that something was
	quiet    int    // moved, when the wait for nothing to move began
	proxied  bool   // a PROXY protocol header is yet to come
	accepted bool   // a handler has it
	told     bool   // and knows that the client has finished sending
	ended    bool   // it has finished sending; the client is told behind what is pending
	leaving  bool   // ends when nothing moves any more
	later    bool   // it goes on in the next turn
}

// quietTime is how long nothing moves on a connection that is to end before its handler is told that no more comes.
const quietTime = time.Second

// begin hands the connection to the application.
func (c *conn) begin(unix string) {
	s := c.door.s
	c.Window = s.Room()
	req := exchange.Request{
		Kind: exchange.TCP, ID: s.NextID(), Target: c.door.Target, Window: c.Window, ContentLength: exchange.UnknownLength,
		Client: c.Client, Server: c.Server, UnixPath: unix,
	}
	stream, reason := s.app.Open(&req, c)
	if c.stream = stream; stream == nil {
		c.Fail(reason)
	}
}

// Accept is called when a handler takes the connection.
func (c *conn) Accept(*exchange.Acceptance) exchange.Socket {
	c.accepted = true
	return c
}

// Input reads and passes on what has arrived, as far as the handler takes it.
func (c *conn) Input() {
	if c.proxied {
		c.readProxy()
	}
	if c.Closed() || c.Closing() || c.later || !c.accepted || c.told || c.stream == nil {
		return
	}
	if len(c.in) > 0 {
		c.passKept()
		return
	}
	if c.credit <= 0 || !c.Readable() {
		return
	}
	buf := c.Receive(min(c.credit, reactor.ReadSize))
	switch {
	case len(buf) > 0:
		c.moved++
		c.credit = c.stream.Message(buf, exchange.Binary, false)
		if c.Readable() {
			c.resumeLater() // the reactor's other connections come first
		}
	case c.Finished():
		c.endInput()
	}
}

// passKept passes on what was received with the PROXY protocol header.
func (c *conn) passKept() {
	n := min(c.credit, len(c.in))
	if n <= 0 {
		return
	}
	c.credit = c.stream.Message(c.in[:n], exchange.Binary, false)
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
	c.resumeLater()
}

// endInput tells the handler that no more comes.
func (c *conn) endInput() {
	if c.stream != nil && c.accepted && !c.told {
		c.told = true
		c.stream.End()
	}
}

// readProxy takes the PROXY protocol header off the connection's first bytes.
func (c *conn) readProxy() {
	rest, local, done, err := Proxied(&c.Conn, c.in)
	c.in = rest
	switch {
	case err != nil:
		c.refuse(telemetry.Malformed, slog.String("reason", err.Error()))
	case done:
		c.proxied = false
		c.StopTimer()
		unix := c.door.UnixPath
		if !local {
			unix = ""
		}
		c.begin(unix)
	}
}

// refuse ends the connection for a reason that is counted, so that the client can't take it for a good end.
func (c *conn) refuse(kind telemetry.Refusal, why ...slog.Attr) {
	s := c.door.s
	s.cfg.Refusals.Note(kind, s.Reactor().Now(), append(why, slog.String("client", string(c.Client.AppendTo(nil))))...)
	c.Reset()
}

// Message sends bytes of the handler's.
func (c *conn) Message(p []byte, _ exchange.MessageKind, _ bool) {
	c.moved++
	c.Owed += len(p)
	c.Send(p, nil, "")
	c.grant()
}

// grant lets the handler send as much again as has left.
func (c *conn) grant() {
	if c.Owed == 0 || c.stream == nil || c.Pending() {
		return
	}
	if n := c.RefillSome(c.door.s.Room()); n > 0 {
		c.stream.Grant(n)
	}
}

// Credit lets the client's bytes flow.
func (c *conn) Credit(n int) {
	c.credit = n
	c.resumeLater()
}

// End has the client told that the handler has finished sending.
func (c *conn) End() {
	if c.ended = true; !c.Pending() && !c.Closed() {
		c.Finish()
	}
}

// Close ends the connection for the handler, when what it has sent has left.
func (c *conn) Close(exchange.CloseCode, []byte) {
	c.stream = nil
	c.Shut(!c.Finished() && !c.door.s.Draining())
}

// Fail ends the connection without a handler, or one that has failed, by a reset.
func (c *conn) Fail(reason exchange.Reason) {
	c.stream = nil
	if c.Closed() {
		return
	}
	if reason == exchange.None {
		c.Reset()
		return
	}
	c.refuse(telemetry.RefusalOf(reason))
}

// Leave ends the connection as soon as nothing has moved for a while.
func (c *conn) Leave() {
	switch {
	case c.Closing() || c.leaving:
	case !c.accepted: // nobody has it yet
		c.Reset()
	default:
		c.leaving = true
		c.quietTimer()
	}
}

// quietTimer starts the wait for nothing to move. While output is pending something does, or the client is given up.
func (c *conn) quietTimer() {
	c.quiet = c.moved
	c.SetTimer(quietTime)
}

// Among says whose connection it is.
func (c *conn) Among() *reactor.Connections { return &c.door.s.Connections }

// Abort closes the connection at once.
func (c *conn) Abort() { c.Reset() }

// Resume goes on in a later turn.
func (c *conn) Resume() {
	c.later = false
	c.Input()
}

func (c *conn) resumeLater() {
	if !c.later {
		c.later = true
		c.Reactor().Later(c)
	}
}

// Drained is called when all output has left.
func (c *conn) Drained() {
	c.moved++
	if c.ended {
		c.Finish()
	}
	c.StopTimer()
	if c.leaving {
		c.quietTimer()
	}
	c.grant()
}

// Expire is called when a client has taken nothing for long, when it has not said who is behind it, or when a connection that is to
// end may have become quiet.
func (c *conn) Expire() {
	switch {
	case c.Pending():
		c.refuse(telemetry.SendTimeout)
	case c.proxied:
		c.refuse(telemetry.HeaderTimeout)
	case c.leaving && c.quiet != c.moved:
		c.quietTimer()
	default:
		c.endInput()
	}
}

// Hangup is called when the client has finished sending. What it has sent is still read, and it may still be sent to.
func (c *conn) Hangup() bool { return true }

// Lost is called when the client is gone.
func (c *conn) Lost() { c.abandon() }

// Ended is called when the connection was closed.
func (c *conn) Ended() {
	c.abandon()
	c.in = nil
	c.door.s.Left()
}

// abandon tells the application that its client is gone.
func (c *conn) abandon() {
	if s := c.stream; s != nil {
		c.stream = nil
		s.Close(exchange.CloseAbnormal, nil)
	}
}
