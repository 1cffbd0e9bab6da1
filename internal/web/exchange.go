package web

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/telemetry"
	"github.com/awaitd/awaitd/internal/websocket"
)

// httpExchange is one request and its response on an HTTP/1.1 connection. It is the exchange.Responder of its stream. It is
// borrowed with the first byte of a head and given back with the last of the response.
type httpExchange struct {
	c      *httpConn
	stream exchange.Stream // nil once the application's side is over
	parser http1.Parser
	head   http1.Head
	req    exchange.Request
	body   http1.BodyDecoder
	writer http1.ResponseWriter

	held   []byte // decoded body that the application had no room for yet
	credit int    // bytes of body the application takes now
	exchange.Flow

	waits     bool // a part of the head is here, the rest is not
	opened    bool // the head is complete and was handed over
	bodyDone  bool // all of the request body was passed on
	asked     bool // the application has asked for the body
	held100   bool // the client waits for 100 Continue
	responded bool // the final head was sent, or put into the output
	sending   bool // a file is on its way; the exchange ends behind it

	offer *websocket.Offer // of the client of a WebSocket

	status  int
	written int64 // body bytes sent
	started time.Time
	worker  string
	line    []byte // for the access log
}

// maxInline is the most of a body that travels with the head.
const maxInline = 16 << 10

// copyLimit is how much of a body is copied behind its head to save the gathering write.
const copyLimit = 8 << 10

// begin readies x for a connection.
func (x *httpExchange) begin(c *httpConn) {
	x.c = c
	x.parser.Reset(&c.s.cfg.Limits)
}

// clear forgets the exchange but keeps its memory.
func (x *httpExchange) clear() {
	held, line, fields, variables := x.held[:0], x.line[:0], x.req.Fields[:0], x.req.Variables[:0]
	parser := x.parser
	*x = httpExchange{held: held, line: line, parser: parser}
	x.req.Fields, x.req.Variables = fields, variables
}

// open hands the complete head to the application, with what of the body is in rest.
func (x *httpExchange) open(rest []byte) {
	c := x.c
	x.opened = true
	x.started = c.Reactor().Now()
	c.StopTimer()
	x.note()
	if limit := c.s.cfg.BodyLimit; limit > 0 && x.req.ContentLength > limit {
		c.refuse(errBodyTooLarge)
		return
	}
	x.describe()
	rest, err := x.firstBody(rest)
	if err != nil {
		c.refuse(err)
		return
	}
	if x.head.Upgrade && !x.upgrade() {
		return
	}
	stream, reason := c.s.app.Open(&x.req, x)
	if stream == nil {
		c.keep(rest)
		x.Fail(reason)
		return
	}
	x.stream = stream
	x.bodyDone = x.req.End && len(x.req.Body) == 0
	x.held = append(x.held[:0], x.req.Body...)
	x.req.Buf, x.req.Body = nil, nil // the buffer is about to be used again
	if x.bodyRead() {
		c.hungTimer()
	}
	c.keep(rest)
}

// describe fills in what the head does not say.
func (x *httpExchange) describe() {
	c := x.c
	x.req.Kind = exchange.HTTP
	x.req.ID = c.s.NextID()
	if c.packets == 0 {
		x.req.Client, x.req.Server, x.req.UnixPath = c.Client, c.Server, c.unix
		if x.req.TLS = c.Secured(); x.req.TLS != nil {
			x.req.Scheme = exchange.Secure
		}
		x.believe()
	}
	x.Window = c.s.Room()
	x.req.Window = x.Window
}

// firstBody decodes the part of the body that came with the head.
func (x *httpExchange) firstBody(rest []byte) ([]byte, *http1.Error) {
	x.req.Body, x.req.End = nil, x.head.Body == http1.NoBody
	x.held100 = x.req.WantsContinue
	x.body.Reset(&x.head, x.req.ContentLength)
	if x.req.End || len(rest) == 0 {
		return rest, nil
	}
	x.held100 = false // it did not wait
	data, n, done, err := x.body.Next(rest[:min(len(rest), maxInline)])
	if err == nil && x.overLimit() {
		err = errBodyTooLarge
	}
	x.req.Body, x.req.End = data, done
	return rest[n:], err
}

func (x *httpExchange) overLimit() bool {
	limit := x.c.s.cfg.BodyLimit
	return limit > 0 && x.body.Received() > limit
}

// wantsBody says whether the exchange waits for body bytes that may be read now.
func (x *httpExchange) wantsBody() bool { return x.stream != nil && !x.bodyDone && x.credit > 0 }

// passHeld gives the application what it had no room for.
func (x *httpExchange) passHeld() {
	n := min(x.credit, len(x.held))
	x.credit -= n
	x.bodyDone = x.req.End && n == len(x.held)
	x.stream.Data(x.held[:n], x.bodyDone)
	x.held = x.held[:copy(x.held, x.held[n:])]
	if x.bodyDone {
		x.c.hungTimer()
	}
}

// passBody decodes the next part of the body from buf and passes it on. It reports false when more bytes are needed.
func (x *httpExchange) passBody(buf []byte) bool {
	c := x.c
	data, n, done, err := x.body.Next(buf[:min(len(buf), max(x.credit, 1))])
	if err == nil && x.overLimit() {
		err = errBodyTooLarge
	}
	if err != nil {
		x.badBody(err)
		return false
	}
	if len(data) > 0 || done {
		c.StopTimer()
		x.credit -= len(data)
		x.bodyDone = done
		x.stream.Data(data, done)
		if done {
			c.hungTimer()
		}
	}
	c.keep(buf[n:])
	return true
}

// badBody ends an exchange whose body breaks the rules: with an answer, if none has begun.
func (x *httpExchange) badBody(err *http1.Error) {
	if x.responded {
		x.c.Lose()
		return
	}
	x.c.refuse(err)
}

// bodyTimer starts the wait for the next part of the body.
func (x *httpExchange) bodyTimer() {
	c := x.c
	if t := c.s.cfg.BodyTimeout; t > 0 {
		c.SetTimer(t)
	}
}

// Credit lets the client's body flow; the first time it sends the 100 that the client waits for.
func (x *httpExchange) Credit(n int) {
	c := x.c
	x.credit += n
	x.asked = true
	if x.held100 && !x.responded {
		x.held100 = false
		c.Send(nil, nil, http1.Continue)
	}
	c.Input()
}

// Inform sends an interim response, to clients that know them. It takes no credit, so one that finds output waiting is dropped.
func (x *httpExchange) Inform(r *exchange.Response) {
	c := x.c
	if x.responded || x.head.Version < exchange.HTTP11 || c.Pending() {
		return
	}
	out, err := http1.AppendInform(c.Reactor().Scratch[:0], &x.head, r)
	c.Reactor().Scratch = out[:0]
	if err != nil {
		c.s.cfg.Log.Warn("an interim response was refused", "error", err)
		return
	}
	c.Send(out, nil, "")
}

// Respond sends the head of the response, with the part of the body that came with it.
func (x *httpExchange) Respond(r *exchange.Response) {
	c := x.c
	if x.responded {
		return
	}
	o := c.options(x.mustClose(r.End))
	out, err := x.writer.Begin(c.Reactor().Scratch[:0], &x.head, r, &o)
	if err != nil {
		x.invalid(err)
		return
	}
	x.responded = true
	x.status = r.Status
	x.worker = x.stream.Worker()
	x.put(out, r.Body, r.End)
}

// mustClose says whether the connection can't be used after this response: the server is about to stop, or the client's body
// will not be read to its end.
func (x *httpExchange) mustClose(end bool) bool {
	if x.head.Body == http1.ChunkedBody && x.asked && !end {
		return x.c.s.Draining() // the application may still read it, and often does
	}
	return x.c.s.Draining() || (!x.bodyRead() && !x.skippable())
}

// bodyRead says whether the connection stands behind the request body.
func (x *httpExchange) bodyRead() bool { return x.bodyDone || x.req.End }

// maxSkip is how much of a body that the application did not read is read and dropped, to keep the connection: clients often send
// a small body in a segment of its own, behind the head.
const maxSkip = 1 << 20

// skippable says whether the rest of an unread request body is worth reading to keep the connection.
func (x *httpExchange) skippable() bool {
	return x.head.Body == http1.FixedBody && !x.held100 && x.body.Remaining() <= maxSkip
}

// wholeBodyHere says whether the client has sent all of its body, though not all of it was read.
func (x *httpExchange) wholeBodyHere() bool {
	return x.head.Body == http1.FixedBody && x.body.Remaining() <= int64(len(x.c.in)+x.c.Unread())
}

// invalid ends an exchange whose response can't be put on the wire.
func (x *httpExchange) invalid(err error) {
	x.c.s.cfg.Log.Error("the application's response was refused", "error", err, "id", exchangeID(x.req.ID))
	x.abandonStream()
	x.Fail(exchange.AppError)
}

// Data sends the next part of the body.
func (x *httpExchange) Data(p []byte, end bool) {
	if x.responded {
		x.put(x.c.Reactor().Scratch[:0], p, end)
	}
}

// Trailers ends the body with trailer fields.
func (x *httpExchange) Trailers(buf []byte, fields []exchange.Field) {
	c := x.c
	out, err := x.writer.Trailers(c.Reactor().Scratch[:0], buf, fields)
	if err != nil {
		c.s.cfg.Log.Error("the application's trailers were refused", "error", err, "id", exchangeID(x.req.ID))
		out, _ = x.writer.Trailers(c.Reactor().Scratch[:0], nil, nil)
	}
	c.Reactor().Scratch = out[:0]
	if c.Send(out, nil, ""); !c.Closed() {
		x.ended()
	}
}

// put frames p behind what is in out, and sends both.
func (x *httpExchange) put(out, p []byte, end bool) {
	c := x.c
	x.Owed += len(p)
	out, take, tail := x.writer.Frame(out, len(p), end)
	x.written += int64(take)
	if take <= copyLimit {
		out = append(append(out, p[:take]...), tail...)
		c.Reactor().Scratch = out[:0]
		if len(out) > 0 {
			c.Send(out, nil, "")
		}
	} else {
		c.Reactor().Scratch = out[:0]
		c.Send(out, p[:take], tail)
	}
	switch {
	case c.Closed(): // the client left just now
	case end:
		x.ended()
	default:
		x.grant()
	}
}

// grant lets the application send as much again as has left; more or less, if the window has changed.
func (x *httpExchange) grant() {
	if x.Owed == 0 || x.stream == nil || x.c.Pending() {
		return
	}
	if n := x.Refill(x.c.s.Room()); n > 0 {
		x.stream.Grant(n)
	}
}

// ended finishes an exchange whose response is complete.
func (x *httpExchange) ended() {
	c := x.c
	x.stream = nil
	log := c.s.cfg.Log
	if n := x.writer.Excess(); n > 0 {
		log.Warn("the application sent more than its Content-Length; the excess was dropped", "bytes", n, "id", exchangeID(x.req.ID))
	}
	if n := x.writer.Missing(); n > 0 {
		log.Error("the application sent less than its Content-Length; the connection is aborted", "bytes", n, "id", exchangeID(x.req.ID))
		c.release()
		c.Shut(false)
		return
	}
	c.next(x.writer.KeepAlive() && x.skipBody())
}

// skipBody drops the rest of an unread request body, now and when it comes, if that is worth it.
func (x *httpExchange) skipBody() bool {
	c := x.c
	if x.bodyRead() {
		return true
	}
	if !x.skippable() {
		return false
	}
	c.skip = x.body.Remaining()
	return true
}

// Fail ends the exchange without a whole answer from the application.
func (x *httpExchange) Fail(reason exchange.Reason) {
	c := x.c
	if x.stream != nil {
		x.worker = x.stream.Worker()
		x.stream = nil
	}
	if c.Closed() {
		return
	}
	if x.responded {
		c.s.cfg.Refusals.Add(telemetry.RefusalOf(reason))
		c.s.cfg.Log.Debug("a response was cut off", "reason", reason, "id", exchangeID(x.req.ID))
		framed := x.writer.Framed() && c.packets == 0 // a web server in front may not look at the framing
		c.release()
		if framed {
			c.Shut(false) // the client sees that the framing is incomplete
		} else {
			c.Reset() // an end would look like the end of the body
		}
		return
	}
	x.answerFailure(reason)
}

// abandon ends an exchange whose client is gone.
func (x *httpExchange) abandon() {
	if x.status == 0 && x.opened {
		x.status = 499
	}
	x.abandonStream()
}

func (x *httpExchange) abandonStream() {
	if s := x.stream; s != nil {
		x.worker = s.Worker()
		x.stream = nil
		s.Cancel()
	}
}

// note keeps the request line for the access log.
func (x *httpExchange) note() {
	if x.c.s.cfg.Access == nil {
		return
	}
	b := append(x.line[:0], x.req.Method.Of(x.req.Buf)...)
	b = append(append(b, ' '), x.req.Path.Of(x.req.Buf)...)
	if x.req.Query.Len() > 0 {
		b = append(append(b, '?'), x.req.Query.Of(x.req.Buf)...)
	}
	v := byte(x.req.Version)
	x.line = append(append(b, " HTTP/"...), '0'+v/10, '.', '0'+v%10)
}

// log writes the access log's line.
func (x *httpExchange) log() {
	c := x.c
	if c.s.cfg.Access == nil || !x.opened {
		return
	}
	now := time.Now()
	c.s.cfg.Access.Log(&telemetry.Access{
		Time: now, Client: x.req.Client, Request: x.line, Status: x.status, Bytes: x.written,
		Took: now.Sub(x.started), Worker: x.worker,
	})
}

// exchangeID is an exchange's id as it is printed.
func exchangeID(id uint64) string {
	const hex = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[i] = hex[id>>(60-4*i)&15]
	}
	return string(b[:])
}
