package web

import (
	"bytes"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
)

// What an idle WebSocket costs on a reactor: its connection, its place in the tables, its timer and its engine. The stream of the
// application's side is the dispatcher's, and counted there.

// openApp accepts every WebSocket in the next turn, and is silent from then on.
type openApp struct {
	waiting []exchange.Responder
	nothing exchange.Acceptance
}

func (a *openApp) Open(_ *exchange.Request, r exchange.Responder) (exchange.Stream, exchange.Reason) {
	a.waiting = append(a.waiting, r)
	return (*openStream)(a), exchange.None
}

func (a *openApp) Takes(kind exchange.Kind) bool { return kind == exchange.WebSocket }

func (a *openApp) Poll() int {
	n := len(a.waiting)
	for _, r := range a.waiting {
		r.(exchange.Upgrader).Accept(&a.nothing)
	}
	a.waiting = a.waiting[:0]
	return n
}
func (a *openApp) Flush()              {}
func (a *openApp) Arm() bool           { return true }
func (a *openApp) Disarm()             {}
func (a *openApp) Wait() time.Duration { return -1 }

// openStream is the stream of all WebSockets of an openApp.
type openStream openApp

func (*openStream) Data([]byte, bool)                              {}
func (*openStream) Grant(int)                                      {}
func (*openStream) Message([]byte, exchange.MessageKind, bool) int { return 0 }
func (*openStream) Cancel()                                        {}
func (*openStream) Close(exchange.CloseCode, []byte)               {}
func (*openStream) End()                                           {}
func (*openStream) Worker() string                                 { return "worker-1" }

var socketHandshake = []byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

// detached is a Server with WebSockets that have no descriptors any more: each went through its handshake on a real socket, which
// was then closed behind the reactor's back. So a process can have more of them than descriptors, and none may be touched again.
type detached struct {
	t testing.TB
	r *reactor.Reactor
	s *Server
}

func newDetached(t testing.TB) *detached {
	app := &openApp{}
	d := &detached{t: t, r: startReactor(t, app)}
	cfg := usual(io.Discard)
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Sockets.Deflate, cfg.Sockets.MaxSize = true, 16<<20
	cfg.Sockets.PingInterval, cfg.Sockets.PingTimeout = 24*time.Hour, 24*time.Hour // the timer is there, and doesn't expire
	d.s = New(d.r, cfg, app)
	return d
}

// batch is how many have a socket at a time.
const batch = 500

// open adds n WebSockets.
func (d *detached) open(n int) {
	for n > 0 {
		some := min(n, batch)
		d.openBatch(some)
		n -= some
	}
}

func (d *detached) openBatch(n int) {
	pairs := make([][2]int, 0, n)
	do(d.t, d.r, func() {
		in := &door{s: d.s, Door: Door{UnixPath: "/run/test.sock"}}
		for range n {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				d.t.Errorf("only %d of %d sockets: %v", len(pairs), n, err)
				return
			}
			_ = unix.SetNonblock(pair[0], true)
			pairs = append(pairs, pair)
			in.Accept(pair[0], exchange.Address{Family: exchange.Unix})
		}
	})
	buf := make([]byte, 1<<10)
	for _, pair := range pairs {
		if _, err := unix.Write(pair[1], socketHandshake); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, pair := range pairs {
		if m, err := unix.Read(pair[1], buf); err != nil || !bytes.HasPrefix(buf[:max(m, 0)], []byte("HTTP/1.1 101 ")) {
			d.t.Fatalf("%q, %v", buf[:max(m, 0)], err)
		}
	}
	settle(d.t, d.r)
	do(d.t, d.r, func() {
		for _, pair := range pairs { // the server's end first: closed, it isn't watched any more
			_, _ = unix.Close(pair[0]), unix.Close(pair[1])
		}
	})
}

// each is the heap's growth while n WebSockets are opened, for each of them.
func (d *detached) each(n int) float64 {
	d.open(batch) // what there is only once
	before := heap()
	d.open(n)
	after := heap()
	if d.s.Live() != n+batch {
		d.t.Fatalf("%d of %d connections live", d.s.Live(), n+batch)
	}
	runtime.KeepAlive(d)
	return float64(after-before) / float64(n)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// socketBudget is what an idle WebSocket may take of the heap on this side: with its stream, and as much again as the collector
// may leave lying about, a million stay below 1.5 GB.
const socketBudget = 640

func TestAnIdleWebSocketIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory is not the server's")
	}
	each := newDetached(t).each(20_000)
	t.Logf("%.0f bytes for each of 20,000 idle WebSockets", each)
	if each > socketBudget {
		t.Errorf("%.0f bytes for each idle WebSocket, want at most %d", each, socketBudget)
	}
}

// BenchmarkAMillionWebSockets puts a million idle WebSockets on a reactor, without their sockets. Run it once:
// go test ./internal/web -run '^$' -bench Million -benchtime 1x
func BenchmarkAMillionWebSockets(b *testing.B) {
	if raceEnabled {
		b.Skip("the race detector's memory is not the server's")
	}
	const million = 1_000_000
	for range b.N {
		each := newDetached(b).each(million)
		b.ReportMetric(each, "B/socket")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys-m.HeapReleased)/1e9, "GB-of-the-process")
		b.Logf("a million: %.2f GB", each*million/1e9)
	}
}
