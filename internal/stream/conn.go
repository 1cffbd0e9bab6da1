package stream

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// conn is one TCP connection. It is the Upgrader that its stream begins with, and the Pipe that it goes on with.
type conn struct {
	Link
	door   *door
	stream exchange.Stream // nil before it is handed over, and once the application's side is over
	exchange.Flow
	exchange.Unanswered
	credit    int    // what the application takes now
	moved     int    // counts what was sent and received, as far as it tells that something was
	quiet     int    // moved, when the wait for nothing to move began
	accepted  bool   // a handler has it
	upgrading bool   // it has asked for TLS
	returned  []byte // what it had not read then
	told      bool   // and knows that the client has finished sending
	ended     bool   // it has finished sending; the client is told behind what is pending
	leaving   bool   // ends when nothing moves any more
}

// quietTime is how long nothing moves on a connection that is to end before its handler is told that no more comes.
const quietTime = time.Second

// Begin hands the connection to the application.
func (c *conn) Begin(unix string) {
	s := c.door.s
	c.Window = s.Room()
	req := c.Request(exchange.TCP, c.Window, unix)
	req.ID = s.NextID()
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
	if c.Proxied() {
		c.ReadProxy()
	}
	if c.Closed() || c.Closing() || c.PutOff() || !c.accepted || c.told || c.upgrading || c.stream == nil {
		return
	}
	if len(c.Received) > 0 {
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
			c.Later() // the reactor's other connections come first
		}
	case c.Finished():
		c.endInput()
	}
}

// passKept passes on what was received with the PROXY protocol header.
func (c *conn) passKept() {
	n := min(c.credit, len(c.Received))
	if n <= 0 {
		return
	}
	c.credit = c.stream.Message(c.Received[:n], exchange.Binary, false)
	if c.Received = c.Received[n:]; len(c.Received) == 0 {
		c.Received = nil
	}
	c.Later()
}

// endInput tells the handler that no more comes.
func (c *conn) endInput() {
	if c.stream != nil && c.accepted && !c.told {
		c.told = true
		c.stream.End()
	}
}

// Message sends bytes of the handler's. Its texts are about TLS.
func (c *conn) Message(p []byte, kind exchange.MessageKind, _ bool) {
	c.moved++
	c.Owed += len(p)
	switch {
	case kind == exchange.Text:
		c.upgrade(p)
	case c.upgrading:
		c.Fail(exchange.AppError) // it would have to be sent in plain, or between the two
		return
	default:
		c.Send(p, nil, "")
	}
	c.grant()
}

// mostReturned is how much of what the client has sent a handler may give back.
const mostReturned = 128 << 10

// upgrade goes on with a start_tls() of the handler's. It asks, and is told why not, or nothing; then it gives back what it has not
// read, which is the handshake's, and at last nothing; when TLS is there it is told what was agreed on.
func (c *conn) upgrade(p []byte) {
	switch {
	case !c.upgrading && c.door.TLS == nil:
		c.say([]byte("there is no certificate: name one with --ssl-certfile"))
	case !c.upgrading && c.Secured() != nil:
		c.say([]byte("the connection is in TLS already"))
	case !c.upgrading:
		c.upgrading = true
		c.say(nil)
	case len(c.returned)+len(p) > mostReturned:
		c.Fail(exchange.AppError)
	case len(p) > 0:
		c.returned = append(c.returned, p...)
	default:
		c.Received = append(c.returned, c.Received...)
		c.returned = nil
		c.StartTLS(func() {
			c.upgrading = false
			c.say(c.Secured())
			c.Later()
		})
	}
}

// say tells the handler something that is no byte of the client's.
func (c *conn) say(text []byte) {
	if c.stream != nil {
		c.credit = c.stream.Message(text, exchange.Text, false)
	}
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
	c.Later()
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
	c.Refuse(telemetry.RefusalOf(reason))
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
	c.Resuming()
	c.Input()
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
		c.Refuse(telemetry.SendTimeout)
	case c.Proxied():
		c.Refuse(telemetry.HeaderTimeout)
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
	c.Received, c.returned = nil, nil
	c.door.s.Left()
}

// abandon tells the application that its client is gone.
func (c *conn) abandon() {
	if s := c.stream; s != nil {
		c.stream = nil
		s.Close(exchange.CloseAbnormal, nil)
	}
}
