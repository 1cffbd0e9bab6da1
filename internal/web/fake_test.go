package web

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// fakeApp is an application that does what a test says. All of it but the channels belongs to the reactor's goroutine.
type fakeApp struct {
	opened    chan *fakeExchange
	cancelled chan *fakeExchange
	refuse    exchange.Reason // not None: Open takes nothing
	take      int             // how much of a body that came with the head Open takes
	sockets   bool            // it takes WebSockets, too
}

func newFakeApp() *fakeApp {
	return &fakeApp{opened: make(chan *fakeExchange, 1000), cancelled: make(chan *fakeExchange, 1000), take: 1 << 20}
}

func (a *fakeApp) Open(req *exchange.Request, r exchange.Responder) (exchange.Stream, exchange.Reason) {
	if a.refuse != exchange.None {
		return nil, a.refuse
	}
	n := min(a.take, len(req.Body))
	x := &fakeExchange{
		app: a, r: r, method: string(req.Method.Of(req.Buf)), path: string(req.Path.Of(req.Buf)),
		body: bytes.Clone(req.Body[:n]), end: req.End && n == len(req.Body), continues: req.WantsContinue, window: req.Window,
	}
	req.Body = req.Body[n:]
	a.opened <- x
	return x, exchange.None
}

func (a *fakeApp) Takes(kind exchange.Kind) bool { return kind == exchange.HTTP || a.sockets }

// fakeExchange is one exchange as the application sees it.
type fakeExchange struct {
	app          *fakeApp
	r            exchange.Responder
	method, path string
	body         []byte
	end          bool // the whole body is here
	ends         int
	continues    bool
	credit       int // left of what was given
	over         int // bytes beyond the credit
	granted      int
	window       int // granted at first
	cancels      int
	socket       exchange.Socket // accepted
	messages     []string        // parts
	closed       exchange.CloseCode
}

func (x *fakeExchange) Data(p []byte, end bool) {
	x.body = append(x.body, p...)
	if x.credit -= len(p); x.credit < 0 {
		x.over -= x.credit
		x.credit = 0
	}
	if end {
		x.end = true
		x.ends++
	}
}
func (x *fakeExchange) Grant(n int)                             { x.granted += n }
func (x *fakeExchange) Close(code exchange.CloseCode, _ []byte) { x.closed = code }
func (x *fakeExchange) End()                                    {}
func (x *fakeExchange) Worker() string                          { return "worker-7" }

func (x *fakeExchange) Message(p []byte, _ exchange.MessageKind, _ bool) int {
	x.messages = append(x.messages, string(p))
	x.credit -= len(p)
	return x.credit
}

func (x *fakeExchange) Cancel() {
	x.cancels++
	x.app.cancelled <- x
}

// give lets n bytes of the body flow.
func (x *fakeExchange) give(n int) {
	x.credit += n
	x.r.Credit(n)
}

// respond answers with fields given as "name: value".
func (x *fakeExchange) respond(status int, body string, end bool, fields ...string) {
	r := response(status, fields...)
	r.Body, r.End = []byte(body), end
	x.r.Respond(r)
}

func response(status int, fields ...string) *exchange.Response {
	r := &exchange.Response{Status: status}
	span := func(s string) exchange.Span {
		start := uint32(len(r.Buf))
		r.Buf = append(r.Buf, s...)
		return exchange.Span{Start: start, End: uint32(len(r.Buf))}
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Fields = append(r.Fields, exchange.Field{Name: span(name), Value: span(value)})
	}
	return r
}

// site is a reactor that serves HTTP on a loopback socket from a fake application.
type site struct {
	t    *testing.T
	r    *reactor.Reactor
	web  *Server
	app  *fakeApp
	log  *lockedBuffer
	addr string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// usual are the settings that tests begin with.
func usual(log io.Writer) *Config {
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &Config{
		Limits:        http1.Limits{Line: 4 << 10, Fields: 100, FieldSize: 8 << 10, Head: 60 << 10},
		HeaderTimeout: time.Minute, BodyTimeout: time.Minute, KeepAlive: time.Minute,
		Log: logger, Refusals: telemetry.NewRefusals(logger),
	}
}

// startSite serves until the test ends.
func startSite(t *testing.T, settings ...func(*Config)) *site {
	t.Helper()
	s := &site{t: t, app: newFakeApp(), log: &lockedBuffer{}}
	cfg := usual(s.log)
	for _, set := range settings {
		set(cfg)
	}
	socket, err := listen.TCP("127.0.0.1", 0, 128)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = socket.Address.String()
	s.r = startReactor(t, idleSource{})
	s.web = New(s.r, cfg, s.app)
	do(t, s.r, func() {
		if _, err := s.web.Serve(Door{FD: socket.FD, Server: socket.Server()}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		do(t, s.r, s.web.Abort)
		socket.Close()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

// client is a connection to a site.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (s *site) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.Close() })
	return &client{c.(*net.TCPConn), s.t, bufio.NewReader(c)}
}

func (c *client) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.t.Fatal(err)
	}
}

// get is a plain request.
func (c *client) get(path string) {
	c.t.Helper()
	c.write("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
}

// read reads a response with its body; method is that of the request.
func (c *client) read(method string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("%v after %d bytes: %.100q", err, len(body), body)
	}
	return r, string(body)
}

// want reads exactly text.
func (c *client) want(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != text {
		c.t.Fatalf("got %q, want %q (%v)", got[:n], text, err)
	}
}

// wantEnd waits for the end of the connection, with nothing before it.
func (c *client) wantEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("got %q and %v instead of an end", rest, err)
	}
}

func (s *site) next() *fakeExchange {
	s.t.Helper()
	return await(s.t, s.app.opened, "a request")
}

func (s *site) do(f func()) {
	s.t.Helper()
	do(s.t, s.r, f)
}
