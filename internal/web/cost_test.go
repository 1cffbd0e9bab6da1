package web

import (
	"bytes"
	"io"
	"log/slog"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// What a request and an idle connection cost, counted: DESIGN.md §5.

// instantApp answers every request in the next turn, without an allocation of its own.
type instantApp struct {
	waiting []exchange.Responder
	answer  *exchange.Response
	parts   []byte // sent behind the head, if any
}

func (a *instantApp) Open(_ *exchange.Request, r exchange.Responder) (exchange.Stream, exchange.Reason) {
	a.waiting = append(a.waiting, r)
	return (*instantStream)(a), exchange.None
}

func (a *instantApp) Takes(kind exchange.Kind) bool { return kind == exchange.HTTP }

func (a *instantApp) Poll() int {
	n := len(a.waiting)
	for _, r := range a.waiting {
		r.Respond(a.answer)
		if !a.answer.End {
			r.Data(a.parts, false)
			r.Data(a.parts, true)
		}
	}
	a.waiting = a.waiting[:0]
	return n
}
func (a *instantApp) Flush()              {}
func (a *instantApp) Arm() bool           { return true }
func (a *instantApp) Disarm()             {}
func (a *instantApp) Wait() time.Duration { return -1 }

// instantStream is the stream of the one exchange that an instantApp has at a time.
type instantStream instantApp

func (*instantStream) Data([]byte, bool)                              {}
func (*instantStream) Grant(int)                                      {}
func (*instantStream) Message([]byte, exchange.MessageKind, bool) int { return 0 }
func (a *instantStream) Cancel()                                      { a.waiting = a.waiting[:0] }
func (*instantStream) Close(exchange.CloseCode, []byte)               {}
func (*instantStream) End()                                           {}
func (*instantStream) Worker() string                                 { return "worker-1" }

func newInstantApp() *instantApp {
	a := &instantApp{answer: response(200, "content-type: text/plain")}
	a.answer.Body, a.answer.End = []byte("Hello, world!"), true
	return a
}

// startInstant runs an instantApp behind HTTP with everything on, and returns a blocking client socket for each of n connections.
func startInstant(t *testing.T, a *instantApp, n int) (*reactor.Reactor, []int) {
	t.Helper()
	r := startReactor(t, a)
	cfg := usual(io.Discard)
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Date, cfg.Server = true, []byte("server: awaitd\r\n")
	cfg.Access = telemetry.NewAccessLog(io.Discard)
	t.Cleanup(cfg.Access.Close)
	h := New(r, cfg, a)
	var clients []int
	do(t, r, func() {
		d := &door{s: h, Door: Door{UnixPath: "/run/test.sock"}}
		for range n {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Errorf("only %d connections: %v", len(clients), err)
				return
			}
			_ = unix.SetNonblock(fds[0], true)
			clients = append(clients, fds[1])
			d.Accept(fds[0], exchange.Address{Family: exchange.Unix})
		}
	})
	t.Cleanup(func() {
		do(t, r, h.Abort)
		for _, fd := range clients {
			_ = unix.Close(fd)
		}
	})
	return r, clients
}

// roundTrip sends requests and reads until tail has come as often as there are requests, without allocating.
func roundTrip(t *testing.T, fd int, request, tail, buf []byte) {
	if _, err := unix.Write(fd, request); err != nil {
		t.Fatal(err)
	}
	for n, want := 0, bytes.Count(request, endOfLine); bytes.Count(buf[:n], tail) < want; {
		m, err := unix.Read(fd, buf[n:])
		if err != nil || m == 0 {
			t.Fatalf("read %d: %v after %q", m, err, buf[:n])
		}
		n += m
	}
}

var endOfLine = []byte(" HTTP/1.1\r\n") // of each request

func TestARequestAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		name, request, tail string
		app                 func(*instantApp)
	}{
		{"GET, whole answer", "GET /path?query HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n", "Hello, world!", func(*instantApp) {}},
		{"POST with a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "Hello, world!", func(*instantApp) {}},
		{
			"chunked both ways", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n",
			func(a *instantApp) { a.answer.End, a.parts = false, make([]byte, 10_000) },
		},
		{"two in a packet", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "Hello, world!", func(a *instantApp) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := newInstantApp()
			c.app(app)
			_, clients := startInstant(t, app, 1)
			request, tail, buf := []byte(c.request), []byte(c.tail), make([]byte, 1<<20)
			for range 1000 { // fill the stocks
				roundTrip(t, clients[0], request, tail, buf)
			}
			const requests = 10_000
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range requests {
				roundTrip(t, clients[0], request, tail, buf)
			}
			runtime.ReadMemStats(&after)
			n := after.Mallocs - before.Mallocs
			t.Logf("%.4f allocations per request", float64(n)/requests)
			if n > requests/50 { // the runtime and the log's ticker have a few of their own
				t.Fatalf("%d allocations in %d requests", n, requests)
			}
		})
	}
}

// idleBudget is what an idle keep-alive connection may take in the server (DESIGN.md §5).
const idleBudget = 512

func TestAnIdleConnectionIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory is not the server's")
	}
	n := 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := (int(limit.Cur) - 100) / 2; most < n {
		n = most
	}
	measure := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	_, clients := startInstant(t, newInstantApp(), 1) // what there is only once
	request, tail, buf := []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), []byte("Hello, world!"), make([]byte, 1<<10)
	roundTrip(t, clients[0], request, tail, buf)
	app := newInstantApp()
	before := measure()
	_, clients = startInstant(t, app, n)
	for _, fd := range clients {
		roundTrip(t, fd, request, tail, buf)
	}
	each := (measure() - before) / int64(len(clients))
	t.Logf("%d bytes for each of %d idle connections", each, len(clients))
	if each > idleBudget {
		t.Fatalf("%d bytes for each of %d idle connections", each, len(clients))
	}
	runtime.KeepAlive(app)
}
