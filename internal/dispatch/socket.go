package dispatch

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// WebSockets, TCP connections and datagram sockets. A stream of these kinds begins like any request. Once the application has accepted, it carries
// messages, its place goes to the next request, and it lasts until either side closes. The messages of a TCP connection are its bytes.

// accepted says whether the stream is a WebSocket or TCP connection that the application has accepted.
func (s *stream) accepted() bool { return s.socket != nil }

// upgrades says whether the stream is no plain request: it is one of those, or to become one.
func (s *stream) upgrades() bool { return s.kind != exchange.HTTP }

// raw says whether it is a TCP connection or a datagram socket.
func (s *stream) raw() bool { return s.kind == exchange.TCP || s.kind == exchange.UDP }

// piped says whether its Socket is a Pipe: it is one of these, or a mail session.
func (s *stream) piped() bool { return s.raw() || s.kind == exchange.SMTP }

// handshake says whether the stream is one that the application has yet to accept or refuse.
func (s *stream) handshake() bool { return s.upgrades() && !s.responded }

func (l *link) handleAccept(s *stream, f wire.Frame) error {
	e := l.endpoint
	if !s.handshake() {
		return wire.Violation("an ACCEPT out of place")
	}
	if err := e.scratch.Acceptance(f, &e.acceptance); err != nil {
		return err
	}
	e.running.remove(s)
	s.responded = true
	s.keepOpen()
	l.target.inFlight.Add(-1)
	l.target.sockets.Add(1)
	s.socket = noPipe{}
	if socket := s.responder.(exchange.Upgrader).Accept(&e.acceptance); s.state != over { // the client may have left just now
		s.socket, s.responder = socket, nil
		if l.target.draining.Load() {
			l.closeSocket(s)
		}
	}
	e.freed()
	return nil
}

// noPipe stands for a Socket or Pipe while there is none yet.
type noPipe struct{}

func (noPipe) Message([]byte, exchange.MessageKind, bool) {}
func (noPipe) Broadcast(*exchange.Broadcast)              {}
func (noPipe) Close(exchange.CloseCode, []byte)           {}
func (noPipe) Credit(int)                                 {}
func (noPipe) End()                                       {}
func (noPipe) Fail(exchange.Reason)                       {}
func (noPipe) Leave()                                     {}

// pipe is the client's end of an accepted TCP connection or mail session, or a datagram socket.
func (s *stream) pipe() exchange.Pipe { return s.socket.(exchange.Pipe) }

// endPipe acts on the END of an application that has finished sending on a TCP connection.
func (s *stream) endPipe(f wire.Frame) error {
	if s.ended || s.kind != exchange.TCP || f.Length != 0 || f.Aux != 0 {
		return wire.Violation("an END that has trailers, is the second of a TCP stream, or one of a UDP stream")
	}
	s.ended = true
	s.pipe().End()
	return nil
}

// End passes on that the client of a TCP connection has finished sending.
func (s *stream) End() {
	if s.state != over && s.link != nil {
		s.link.send(wire.Header{Stream: s.id, Type: wire.End}, nil)
	}
}

// keepOpen gives the memory of an OPEN that has been taken to others: most WebSockets are idle for long.
func (s *stream) keepOpen() {
	if cap(s.open) <= keepOpen {
		s.endpoint.keepFrame(s.open)
	}
	s.open = nil
}

func (l *link) handleMessage(s *stream, f wire.Frame) error {
	kind := exchange.MessageKind(f.Aux)
	switch {
	case !s.accepted():
		return wire.Violation("a MESSAGE before ACCEPT")
	case kind != exchange.Text && kind != exchange.Binary && kind != exchange.Ping:
		return wire.Violation("a MESSAGE that is neither text nor binary, nor a ping")
	case s.raw() && kind == exchange.Ping, s.kind == exchange.UDP && kind != exchange.Binary, s.kind == exchange.TCP && (f.Flags&wire.More != 0 || s.ended):
		return wire.Violation("a MESSAGE of a UDP stream that is not binary, or one of a TCP stream that goes on, or follows an END")
	case s.sending != 0 && s.sending != kind:
		return wire.Violation("a MESSAGE whose parts are of two kinds")
	case uint64(f.Length) > uint64(len(f.Payload)):
		return wire.Violation("a MESSAGE frame's payload reaches past the frame")
	case kind == exchange.Ping && (f.Length > exchange.MaxControl || f.Flags&wire.More != 0):
		return wire.Violation("a ping that is too long, or goes on")
	case kind == exchange.Ping: // takes no credit
		s.socket.Message(f.Payload[:f.Length], kind, false)
		return nil
	}
	if err := s.spend(f.Length); err != nil {
		return err
	}
	more := f.Flags&wire.More != 0
	s.sending = 0
	if more {
		s.sending = kind
	}
	s.socket.Message(f.Payload[:f.Length], kind, more)
	return nil
}

// maxReason is the longest reason of a close (RFC 6455 §5.5): 125 bytes with its code.
const maxReason = 123

func (l *link) handleClose(s *stream, f wire.Frame) error {
	switch {
	case s.handshake() && s.piped():
		return wire.Violation("a CLOSE before ACCEPT of a stream that is no websocket")
	case s.handshake():
		s.state = over
		l.endpoint.response = exchange.Response{Status: 403, End: true}
		s.responder.Respond(&l.endpoint.response)
		s.release()
		return nil
	case !s.accepted():
		return wire.Violation("a CLOSE out of place")
	case f.Length > maxReason || int(f.Length) > len(f.Payload):
		return wire.Violation("a CLOSE frame's reason is too long, or reaches past the frame")
	case !sendable(exchange.CloseCode(f.Aux)):
		return wire.Violation("a CLOSE with a code that must not be sent")
	}
	var reason [maxReason]byte // the ring is not to be trusted
	n := copy(reason[:], f.Payload[:f.Length])
	s.shut(exchange.CloseCode(f.Aux), reason[:n])
	return nil
}

// sendable says whether a code may stand in a close frame (RFC 6455 §7.4).
func sendable(code exchange.CloseCode) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004 || code == exchange.CloseNoCode || code == exchange.CloseAbnormal:
		return false
	}
	return code >= 1000 && code <= 1014
}

// shut ends a WebSocket on the application's side, and has its client told.
func (s *stream) shut(code exchange.CloseCode, reason []byte) {
	s.state = over
	s.socket.Close(code, reason)
	s.release()
}

// Message passes a part of a message to the application. The bytes of a TCP connection are messages of their own.
func (s *stream) Message(p []byte, kind exchange.MessageKind, more bool) int {
	l := s.link
	if s.state == over || l == nil {
		return 0
	}
	h := wire.Header{Stream: s.id, Type: wire.Message, Aux: uint16(kind)}
	if s.kind != exchange.TCP {
		h.Flags = wire.More
	}
	most := l.wire.Out.MaxFrame() - wire.HeaderSize
	for len(p) > most {
		s.tell(h, p[:most])
		p = p[most:]
	}
	if !more {
		h.Flags = 0
	}
	s.tell(h, p)
	return s.credit
}

// datagramCost is the least that a datagram costs of the credit that a worker gives: a socket has many peers.
const datagramCost = 64

// tell sends a frame with a part of a message.
func (s *stream) tell(h wire.Header, p []byte) {
	h.Length = uint32(len(p))
	cost := s.endpoint.group.MessageCost
	if s.kind == exchange.UDP {
		cost = datagramCost
	}
	s.credit -= max(len(p), cost)
	s.link.send(h, p)
}

// Close ends a WebSocket whose client has closed, or is gone.
func (s *stream) Close(code exchange.CloseCode, reason []byte) {
	if !s.accepted() {
		s.Cancel()
		return
	}
	if s.state == over {
		return
	}
	reason = reason[:min(len(reason), maxReason)]
	s.link.send(wire.Header{Stream: s.id, Type: wire.Close, Aux: uint16(code), Length: uint32(len(reason))}, reason)
	s.state = over
	s.release()
}

var restarting = []byte("service restart")

// closeSockets ends the WebSockets of a worker that is about to go: their clients come back, to another. A TCP connection has its time.
func (l *link) closeSockets() {
	for i := range l.slots {
		if s := l.slots[i].s; s != nil && s.accepted() {
			l.closeSocket(s)
		}
	}
}

func (l *link) closeSocket(s *stream) {
	if s.piped() {
		s.pipe().Leave()
		return
	}
	l.send(wire.Header{
		Stream: s.id, Type: wire.Close, Aux: uint16(exchange.CloseRestarting), Length: uint32(len(restarting)),
	}, restarting)
	s.shut(exchange.CloseRestarting, restarting)
}
