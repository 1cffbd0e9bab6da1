package web

import (
	"log/slog"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/websocket"
)

// SocketConfig is how WebSockets are spoken.
type SocketConfig struct {
	websocket.Settings
	Off          bool          // a handshake is a plain request
	PingInterval time.Duration // of silence, after which a client is pinged; 0 for never
	PingTimeout  time.Duration // for its answer; 0 for ever
}

// socket is a WebSocket on a connection that was HTTP/1.1. While it is idle it holds nothing but itself.
type socket struct {
	*httpConn
	stream exchange.Stream // nil once the application's side is over
	reader websocket.Reader
	writer websocket.Writer
	exchange.Flow
	credit  int       // what the application takes now
	seen    time.Time // when the client last sent something
	starved bool      // what is kept of the input is nothing, or less than a frame: it is looked at again with more
	blocked bool      // a message waits for credit
	pinged  bool      // the client was pinged, and has sent nothing since
	closed  bool      // a close frame was sent: nothing follows it
	later   bool      // it goes on in the next turn
	pings   bool      // the application hears of the client's pings and pongs
	asked   uint8     // pings of the application's that were not yet answered, at most maxAsked
}

const (
	// pausedRead is how much is read of a client whose messages the application does not take: enough to see a control frame.
	pausedRead = 256
	// deafCredit is what a client may still send after the application has closed; it is dropped.
	deafCredit = 1 << 30
	// closeTime is how long a client has to answer a close frame: what the websockets library, and so uvicorn, gives it.
	closeTime = 10 * time.Second
	// stopTime is the same when the server stops. The close frame is on its way, the answer would tell nothing, and a server may close
	// first (RFC 6455 §7.1.1); most clients answer within a round trip, and whoever does not must not hold up the stop.
	stopTime = time.Second
	// maxAsked is how many pings of the application's may be unanswered; more are dropped, since they would say no more.
	maxAsked = 100
)

// upgrade looks whether a request wants a WebSocket, and judges its handshake. It reports false if that was refused.
func (x *httpExchange) upgrade() bool {
	c := x.c
	if c.packets != 0 || c.s.cfg.Sockets.Off || !websocket.Wanted(&x.req) || !c.s.app.Takes(exchange.WebSocket) {
		return true
	}
	offer := &websocket.Offer{}
	if refusal := c.s.sockets.Check(&x.req, offer); refusal != nil {
		c.refuse(&http1.Error{Status: refusal.Status, Reason: refusal.Reason})
		return false
	}
	x.req.Kind, x.offer = exchange.WebSocket, offer
	return true
}

// Accept answers the handshake of a WebSocket. The connection is the socket's from now on.
func (x *httpExchange) Accept(a *exchange.Acceptance) exchange.Socket {
	c := x.c
	r := c.Reactor()
	lines, err := x.offer.AppendLines(nil, a)
	if err != nil {
		x.invalid(err)
		return nil
	}
	o := c.options(false)
	out := http1.AppendUpgrade(r.Scratch[:0], lines, a, &o)
	r.Scratch = out[:0]
	k := &socket{httpConn: c, stream: x.stream, Flow: exchange.Flow{Window: x.Window}, seen: r.Now(), pings: a.Pings}
	k.reader.Reset(c.s.sockets, x.offer.Deflate)
	k.writer.Reset(c.s.sockets, x.offer.Deflate)
	x.status, x.responded, x.worker = 101, true, x.stream.Worker()
	x.stream = nil
	c.release()
	c.Speak(k)
	c.Send(out, nil, "")
	if c.s.leaving {
		k.Leave()
		return k
	}
	k.pingTimer()
	k.resumeLater() // the client may have gone on without waiting for the answer
	return k
}

// Input reads and handles what has arrived, until it has to wait for the client or for the application.
func (k *socket) Input() {
	for !k.Closed() && !k.Closing() && !k.later && !k.blocked {
		buf := k.in
		if k.starved {
			if buf = k.read(); len(buf) == 0 {
				return
			}
		}
		k.handle(buf)
	}
}

// read reads more, behind what is kept. A client that does not take what it is sent is not read, and one whose messages the application
// does not take, only for control frames.
func (k *socket) read() []byte {
	most := reactor.ReadSize
	if k.credit <= 0 {
		most = pausedRead - len(k.in)
	}
	if most <= 0 || k.Pending() || !k.Readable() {
		return nil
	}
	buf := k.Receive(most)
	if len(buf) == 0 {
		return nil
	}
	k.alive()
	if len(k.in) > 0 {
		k.in = k.Reactor().Append(k.in, buf)
		buf = k.in
	}
	return buf
}

// alive takes note of a sign of life. The timer is set anew only after a ping: then it was for the answer, which may have more
// time than there is between pings, or all the time in the world.
func (k *socket) alive() {
	k.seen = k.Reactor().Now()
	if k.pinged {
		k.pinged = false
		if !k.closed {
			k.pingTimer()
		}
	}
}

// handle acts on what is in buf, and keeps the rest.
func (k *socket) handle(buf []byte) {
	k.starved = false
	for !k.Closed() && !k.Closing() {
		n, ev, v := k.reader.Next(buf, k.credit)
		buf = buf[n:]
		if v != nil {
			k.violated(v)
			return
		}
		switch ev.Kind {
		case websocket.Starved, websocket.Blocked:
			k.starved, k.blocked = ev.Kind == websocket.Starved, ev.Kind == websocket.Blocked
			k.keep(buf)
			return
		case websocket.Working:
			k.keep(buf)
			k.resumeLater()
			return
		case websocket.Part:
			k.pass(ev)
		case websocket.Ping:
			k.tell(ev.Payload, exchange.Ping)
			k.control(websocket.AppendPong(k.Reactor().Scratch[:0], ev.Payload))
		case websocket.Pong:
			if k.asked > 0 { // else it answers the server, or nobody
				k.asked--
				k.tell(ev.Payload, exchange.Pong)
			}
		case websocket.Closed:
			k.leaveTo(ev.Code, ev.Payload)
			return
		}
	}
}

// pass gives a part of a message to the application.
func (k *socket) pass(ev websocket.Event) {
	if k.stream != nil {
		k.credit = k.stream.Message(ev.Payload, ev.Message, ev.More)
	}
}

// tell has the application hear of a ping or pong, if it wants to. One that does not take what comes does not hear of it.
func (k *socket) tell(payload []byte, kind exchange.MessageKind) {
	if k.pings && k.stream != nil && k.credit >= len(payload) && k.credit > 0 {
		k.credit = k.stream.Message(payload, kind, false)
	}
}

// ask sends the application's ping, unless the client does not even take what was sent before.
func (k *socket) ask(payload []byte) {
	if !k.Pending() && k.asked < maxAsked {
		k.asked++
		k.control(websocket.AppendPing(k.Reactor().Scratch[:0], payload))
	}
}

// control sends a control frame.
func (k *socket) control(frame []byte) {
	k.Reactor().Scratch = frame[:0]
	if !k.closed {
		k.Send(frame, nil, "")
	}
}

// Message sends a part of a message, or a ping.
func (k *socket) Message(p []byte, kind exchange.MessageKind, more bool) {
	if kind == exchange.Ping {
		k.ask(p)
		return
	}
	k.Owed += len(p)
	out := k.Reactor().Scratch[:0]
	switch {
	case k.writer.Packs(len(p), more):
		out, p = k.writer.Append(out, p, kind, more), nil
	case len(p) <= copyLimit:
		out, p = append(k.writer.AppendHeader(out, len(p), kind, more), p...), nil
	default:
		out = k.writer.AppendHeader(out, len(p), kind, more)
	}
	k.Reactor().Scratch = out[:0]
	k.Send(out, p, "")
	k.grant()
}

// Broadcast sends a message that others are sent, too: it is framed, and compressed, once for all who get it alike.
func (k *socket) Broadcast(b *exchange.Broadcast) {
	s := k.s
	if s.preparedID != b.ID {
		s.preparedID = b.ID
		s.prepared.Reset(s.sockets, b.Payload, b.Kind)
	}
	k.Owed += len(b.Payload)
	k.Send(k.writer.Frame(&s.prepared), nil, "")
	k.grant()
}

// grant lets the application send as much again as has left.
func (k *socket) grant() {
	if k.Owed == 0 || k.stream == nil || k.Pending() {
		return
	}
	if n := k.RefillSome(k.s.Room()); n > 0 {
		k.stream.Grant(n)
	}
}

// Credit lets the client's messages flow.
func (k *socket) Credit(n int) {
	k.credit, k.blocked = n, false
	k.resumeLater()
}

// Close ends the WebSocket for the application.
func (k *socket) Close(code exchange.CloseCode, reason []byte) {
	k.stream = nil
	k.credit, k.blocked = deafCredit, false
	k.say(code, reason)
	k.resumeLater()
}

// say sends a close frame, and waits for the client's.
func (k *socket) say(code exchange.CloseCode, reason []byte) {
	k.control(websocket.AppendClose(k.Reactor().Scratch[:0], code, reason))
	k.closed = true
	k.closeTimer()
}

// closeTimer starts the time that the client has to answer a close frame, once it has taken what was sent before.
func (k *socket) closeTimer() {
	if k.s.leaving {
		k.SetTimer(stopTime)
	} else {
		k.SetTimer(closeTime)
	}
}

// leaveTo ends the WebSocket for a client that has closed: it is answered in kind.
func (k *socket) leaveTo(code exchange.CloseCode, reason []byte) {
	var text [125]byte // reason lies in a buffer that is used to answer
	n := copy(text[:], reason)
	k.abandon(code, text[:n])
	if !k.closed {
		k.say(code, nil)
	}
	k.Shut(!k.s.leaving) // what it sends behind its close must not take away what it has yet to read
}

// violated ends a WebSocket whose client broke a rule.
func (k *socket) violated(v *websocket.Violation) {
	k.s.cfg.Log.Debug("a WebSocket client broke a rule", "rule", v.Reason, slog.Int("code", int(v.Code)), k.peer())
	k.abandon(v.Code, []byte(v.Reason))
	if !k.closed {
		k.say(v.Code, []byte(v.Reason))
	}
	k.Shut(true)
}

// abandon tells the application that its client is gone.
func (k *socket) abandon(code exchange.CloseCode, reason []byte) {
	if s := k.stream; s != nil {
		k.stream = nil
		s.Close(code, reason)
	}
}

// Resume goes on in a later turn.
func (k *socket) Resume() {
	k.later = false
	if !k.Closed() && !k.Closing() {
		k.Input()
	}
}

func (k *socket) resumeLater() {
	if !k.later {
		k.later = true
		k.Reactor().Later(k)
	}
}

// Drained is called when all output has left.
func (k *socket) Drained() {
	if k.closed {
		k.closeTimer()
	} else {
		k.pingTimer()
	}
	k.grant()
	k.resumeLater()
}

// pingTimer starts the wait for the next sign of life, or for the answer to a ping.
func (k *socket) pingTimer() {
	cfg := &k.s.cfg.Sockets
	switch {
	case !k.pinged && cfg.PingInterval > 0:
		k.SetTimer(cfg.PingInterval - k.Reactor().Now().Sub(k.seen))
	case k.pinged && cfg.PingTimeout > 0:
		k.SetTimer(cfg.PingTimeout)
	}
}

// Expire is called when a client has been silent for long, or does not answer.
func (k *socket) Expire() {
	cfg := &k.s.cfg.Sockets
	switch {
	case k.Pending(), k.closed:
		k.Lose() // it takes nothing, or does not close
	case k.pinged && k.credit > 0:
		k.abandon(exchange.CloseAbnormal, []byte("no answer to a ping"))
		k.Lose()
	case k.Reactor().Now().Sub(k.seen) < cfg.PingInterval:
		k.pingTimer()
	default:
		k.control(websocket.AppendPing(k.Reactor().Scratch[:0], nil))
		k.pinged = true
		k.pingTimer()
	}
}

// Hangup is called when the client has finished sending. What it sent before is still read; then the connection is lost.
func (k *socket) Hangup() bool { return true }

// Lost is called when the client is gone.
func (k *socket) Lost() { k.abandon(exchange.CloseAbnormal, nil) }

// Ended is called when the connection was closed.
func (k *socket) Ended() {
	k.abandon(exchange.CloseAbnormal, nil)
	k.reader.Release()
	k.httpConn.Ended()
}

// Leave closes the WebSocket: the server stops. While a replaced one fades, it goes on.
func (k *socket) Leave() {
	switch {
	case !k.s.leaving || k.Closing():
		return
	case k.closed:
		k.closeTimer() // the client has less time from now on
		return
	}
	k.abandon(exchange.CloseRestarting, restarting)
	k.credit, k.blocked = deafCredit, false
	k.say(exchange.CloseRestarting, restarting)
	k.resumeLater()
}

var restarting = []byte("service restart")
