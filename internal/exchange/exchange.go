// Package exchange is the contract between a protocol and an application: the request a protocol hands over, the response it
// gets back, and the calls each side may make on the other while the exchange lasts.
//
// The package knows no socket, no process and no ring. A protocol (HTTP/1.1 on a reactor) implements Responder; whatever runs
// applications (the pool) implements Application and Stream. All calls for one exchange happen on one goroutine, the endpoint's
// own; none of them blocks, and no Responder method is called from inside an Application or Stream method.
package exchange

// Kind says what an exchange carries. The values are those of the wire.
type Kind uint8

// Kinds of exchange.
const (
	HTTP      Kind = 1
	WebSocket Kind = 2
	TCP       Kind = 3
	UDP       Kind = 4
	SMTP      Kind = 5
	Client    Kind = 6
)

// Version is the HTTP version: 10, 11, 20 or 30.
type Version uint8

// HTTP versions.
const (
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
	HTTP3  Version = 30
)

// Scheme of a request's URL.
type Scheme uint8

// Schemes.
const (
	Plain  Scheme = 0 // http, ws
	Secure Scheme = 1 // https, wss
)

// UnknownLength is the ContentLength of a body that is not declared.
const UnknownLength = -1

// Span is a part of a buffer: Buf[Start:End]. Heads are kept as spans, not slices, so that a head holds no pointers and can
// move with its buffer.
type Span struct{ Start, End uint32 }

// Of returns the bytes that the span covers in buf.
func (s Span) Of(buf []byte) []byte { return buf[s.Start:s.End] }

// Len returns the number of bytes covered.
func (s Span) Len() int { return int(s.End - s.Start) }

// Field is one header or trailer field.
type Field struct{ Name, Value Span }

// Request is the head of a request, protocol-neutral, with the part of the body that had already arrived. It belongs to the
// protocol; an Application copies what it needs before Open returns.
type Request struct {
	Buf     []byte // what the spans point into
	Method  Span
	Path    Span // as received, up to the first "?"
	Query   Span // after the first "?"
	Fields  []Field
	Body    []byte // first bytes of the body, if any
	End     bool   // Body is the whole body
	Kind    Kind
	Version Version
	Scheme  Scheme

	// WantsContinue: the client sent Expect: 100-continue and waits. The first Responder.Credit says that the application asked.
	WantsContinue bool
	// ContentLength is the declared length of the body, or UnknownLength.
	ContentLength int64
	// ID names the exchange in logs and error pages.
	ID uint64
	// Target is which of the workers' targets it is for; 0 for the application.
	Target uint16
	// Window is how many bytes of response body the protocol has room for at first; Stream.Grant makes room for more.
	Window int

	Client, Server Address
	// ClientName and ServerName are what a web server in front calls them, where that is no IP address; the ports are in Client
	// and Server all the same.
	ClientName, ServerName Span
	// RootPath is the part of the path, decoded, that a web server in front has for the application's mount point.
	RootPath Span
	// Variables are what else a web server in front says (CGI variables), none of it about what the other members tell.
	Variables []Field
	// TLS is what was agreed on with the client (docs/reference/wire.md); empty without TLS, or if it ends elsewhere.
	TLS []byte
	// UnixPath is the path of the unix socket listened on; empty for other families.
	UnixPath string
}

// Response is the head of a response and the part of its body that came with it. It belongs to the application's side and is
// valid only during the call that carries it.
type Response struct {
	Buf      []byte
	Fields   []Field
	Status   int
	Phrase   Span // the application's own reason phrase; empty for the usual one
	Body     []byte
	End      bool // Body is the whole body
	Trailers bool // trailer fields follow the body
}

// Reason says why an exchange ended before its time.
type Reason uint8

// Reasons. None means that nothing is wrong.
const (
	None         Reason = iota
	AppError            // the application raised, or returned without an answer
	WorkerDied          // the worker ended with the exchange started
	Overloaded          // the queue is full
	QueueWait           // nobody took the request within the queue's wait limit
	Deadline            // the request's time is over
	Stopping            // the server stops
	TooLarge            // the application's head is larger than the wire carries
	HeadTooLarge        // the request's head is
)

// String names the reason for logs and metrics.
func (r Reason) String() string {
	switch r {
	case None:
		return "none"
	case AppError:
		return "application error"
	case WorkerDied:
		return "worker died"
	case Overloaded:
		return "queue full"
	case QueueWait:
		return "queue timeout"
	case Deadline:
		return "deadline"
	case Stopping:
		return "stopping"
	case TooLarge:
		return "response head too large"
	case HeadTooLarge:
		return "request head too large"
	}
	return "unknown"
}

// Application runs requests.
type Application interface {
	// Open hands over a request. The Responder hears of the outcome later, never before Open has returned. If the request can't
	// even be queued, the stream is nil and the reason says why. On return req.Body is the part of the body that was not taken;
	// the protocol passes it on with Stream.Data when it has credit.
	//
	// The Responder of a WebSocket, a TCP connection, a mail session or a datagram socket is an Upgrader; Accept of all but the first
	// returns a Pipe.
	Open(req *Request, r Responder) (Stream, Reason)
	// Takes says whether the applications know a kind of exchange. A WebSocket's handshake that they don't is a plain request.
	Takes(kind Kind) bool
}

// Attacher runs what every worker has a share of.
type Attacher interface {
	// Attach hands the same request to every worker loop there is and will be: what comes to a datagram socket is for all of them. each
	// is called for every loop; of one that is gone, and of one whose application has failed, the Upgrader hears by Fail, and the next is
	// made when there is another, or a while later. The reason says why the request can't be handed over at all.
	Attach(req *Request, each func(Stream) Upgrader) Reason
}

// Stream is the protocol's handle on a running exchange. It is dead after Cancel, and after the Responder was told of the end.
type Stream interface {
	// Data passes on a part of the request body, at most as long as the credit; end marks the last.
	Data(p []byte, end bool)
	// Grant lets the application send n more bytes: as many as have left for the client.
	Grant(n int)
	// Message passes on a part of a message from the client of an accepted WebSocket, at most as long as the credit, and only with
	// credit; more: the message goes on in the next part. It returns the credit that is left: a part may cost more than its length.
	Message(p []byte, kind MessageKind, more bool) (credit int)
	// Cancel tells the application that the client is gone, or not interested any more. Nothing more is heard from the exchange.
	Cancel()
	// Close is Cancel for an accepted WebSocket, with the reason as a close code and text (RFC 6455 §7.1.5).
	Close(code CloseCode, reason []byte)
	// End says that the client of an accepted TCP connection has finished sending.
	End()
	// Worker names who runs the exchange, for the access log; empty while it is queued.
	Worker() string
}

// MessageKind is what a WebSocket message holds. The values are those of the wire, and of RFC 6455 §5.2.
type MessageKind uint8

// Kinds of messages.
const (
	Text   MessageKind = 1 // UTF-8; a part may end inside a character
	Binary MessageKind = 2
	Ping   MessageKind = 9  // these are whole, and have at most MaxControl bytes
	Pong   MessageKind = 10 // of the client, as the answer to an application's Ping
)

// MaxControl is the most bytes of a Ping or Pong (RFC 6455 §5.5).
const MaxControl = 125

// CloseCode says why a WebSocket was closed (RFC 6455 §7.4).
type CloseCode uint16

// Close codes that the server itself uses.
const (
	CloseNormal     CloseCode = 1000
	CloseNoCode     CloseCode = 1005 // the peer said none; never on the wire
	CloseAbnormal   CloseCode = 1006 // the connection ended without a close; never on the wire
	CloseFailed     CloseCode = 1011 // the application raised, or its worker died
	CloseRestarting CloseCode = 1012 // the server, or the application, is about to restart or to stop
)

// Acceptance is an application's word that it takes a WebSocket: its header fields for the answer, and which of the client's
// subprotocols is to be spoken, if any. It is valid only during the call that carries it.
type Acceptance struct {
	Buf         []byte
	Fields      []Field
	Subprotocol Span
	Pings       bool // the application hears of the client's pings and pongs
}

// Responder is the application's handle on the client. Byte slices are valid only during the call.
type Responder interface {
	// Inform sends an interim (1xx) response.
	Inform(r *Response)
	// Respond sends the head of the final response, once.
	Respond(r *Response)
	// Data sends a part of the body; end marks the last.
	Data(p []byte, end bool)
	// Trailers ends the body with trailer fields.
	Trailers(buf []byte, fields []Field)
	// File sends a part of an open file as the rest of the body.
	File(f File)
	// Fail ends the exchange without a (whole) answer from the application.
	Fail(reason Reason)
	// Credit lets the protocol send n more bytes of the request body. The first call says that the application asked for it.
	Credit(n int)
}

// Upgrader is the Responder of a WebSocket's handshake.
type Upgrader interface {
	Responder
	// Accept answers the handshake. What comes from now on is for the Socket.
	Accept(a *Acceptance) Socket
}

// Socket is the application's handle on the client of an accepted WebSocket. Byte slices are valid only during the call.
type Socket interface {
	// Message sends a part of a message; more: it goes on in the next part, which has the same kind.
	Message(p []byte, kind MessageKind, more bool)
	// Broadcast sends a whole message that others are sent, too. No message is under way.
	Broadcast(b *Broadcast)
	// Close ends the WebSocket: behind what was sent the client is told the code and reason.
	Close(code CloseCode, reason []byte)
	// Credit lets the protocol pass on n more bytes of messages.
	Credit(n int)
}

// Pipe is the application's handle on the client of an accepted TCP connection: a Socket whose messages are bytes, all Binary, cut
// anyhow; of a mail session, where they are texts and bytes; or on a datagram socket, where each message is a datagram behind its peer's address (docs/reference/wire.md).
type Pipe interface {
	Socket
	// End has the client told that no more comes, behind what was sent; what it sends is still of interest.
	End()
	// Fail ends the connection by a reset: the application raised, or its worker is gone.
	Fail(reason Reason)
	// Leave says that the worker is about to go: the connection is to end as soon as nothing moves on it.
	Leave()
}

// Unanswered is for Upgraders and Pipes to whom no response and no broadcast may come: a worker that tries is killed before.
type Unanswered struct{}

// Inform has no meaning here.
func (Unanswered) Inform(*Response) {}

// Respond has no meaning here.
func (Unanswered) Respond(*Response) {}

// Data has no meaning here.
func (Unanswered) Data([]byte, bool) {}

// Trailers has no meaning here.
func (Unanswered) Trailers([]byte, []Field) {}

// File has no meaning here.
func (Unanswered) File(File) {}

// Broadcast has no meaning here.
func (Unanswered) Broadcast(*Broadcast) {}

// Broadcast is one message for many WebSockets.
type Broadcast struct {
	Payload []byte
	Kind    MessageKind
	// ID tells it from others, so that what the protocol makes of it for the first can serve the next.
	ID uint64
}

// File is a part of a regular file to send. The Responder closes the descriptor.
type File struct {
	Descriptor    int
	Offset, Count int64 // Count < 0: to the end
}
