package web

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
)

// How connections end: clients that leave, servers that stop, limits of time and of descriptors.

func TestTheLossOfAClientCancelsOnce(t *testing.T) {
	const whole = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	const part = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"
	fin := func(c *client) { _ = c.Close() }
	rst := func(c *client) { _ = c.SetLinger(0); _ = c.Close() }
	half := func(c *client) { _ = c.CloseWrite() }
	for _, c := range []struct {
		name, request string
		credit        int
		respond       bool
		leave         func(*client)
	}{
		{"FIN before the answer", whole, 0, false, fin},
		{"RST before the answer", whole, 0, false, rst},
		{"a half-close before the answer", whole, 0, false, half},
		{"FIN in the middle of the response", whole, 0, true, fin},
		{"RST in the middle of the response", whole, 0, true, rst},
		{"FIN in the middle of a body nobody asked for", part, 0, false, fin},
		{"FIN in the middle of the body", part, 1000, false, fin},
		{"a half-close in the middle of the body", part, 1000, false, half},
		{"RST in the middle of the body", part, 1000, false, rst},
		{"RST in the middle of both", part, 1000, true, rst},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t)
			conn := s.dial()
			conn.write(c.request)
			x := s.next()
			s.do(func() {
				if c.credit > 0 {
					x.give(c.credit)
				}
				if c.respond {
					x.respond(200, "begin", false)
				}
			})
			if c.respond {
				conn.want("HTTP/1.1 200")
			}
			c.leave(conn)
			if got := await(t, s.app.cancelled, "the cancellation"); got != x {
				t.Fatal("another exchange was cancelled")
			}
			settle(t, s.r)
			s.do(func() {
				if x.cancels != 1 || s.web.Live() != 0 {
					t.Errorf("cancelled %d times, %d connections left", x.cancels, s.web.Live())
				}
			})
			other := s.dial()
			other.get("/other")
			y := s.next()
			s.do(func() { y.respond(200, "fine", true) })
			if _, body := other.read("GET"); body != "fine" {
				t.Fatal(body)
			}
		})
	}
}

// A client may leave at the very moment at which the server writes: the kernel then refuses the bytes before it reports the
// loss. Whatever is being sent, the exchange ends once, by Cancel or by itself.
func TestAClientThatIsGoneWhileTheServerWritesDoesNoHarm(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
	twice := func(f func(x *fakeExchange)) func(*fakeExchange) { // the first write may still be taken
		return func(x *fakeExchange) {
			x.r.Inform(response(103, "link: </a>"))
			if x.cancels == 0 {
				f(x)
			}
		}
	}
	for _, c := range []struct {
		name, request string
		app           func(*fakeExchange)
	}{
		{"a response", get, func(x *fakeExchange) { x.respond(200, "x", true) }},
		{"a large response", get, func(x *fakeExchange) { x.respond(200, strings.Repeat("x", 1<<20), true) }},
		{"a part", get, func(x *fakeExchange) { x.respond(200, "x", false) }},
		{"100 Continue", post, func(x *fakeExchange) { x.give(10) }},
		{"an interim response", get, func(x *fakeExchange) { x.r.Inform(response(103, "link: </a>")) }},
		{"trailers", get, func(x *fakeExchange) {
			r := response(200)
			r.Trailers = true
			x.r.Respond(r)
			if x.cancels == 0 {
				x.r.Trailers(nil, nil)
			}
		}},
		{"a failure", get, func(x *fakeExchange) { x.r.Fail(exchange.AppError) }},
		{"a response that is refused", get, func(x *fakeExchange) { x.respond(99, "", true) }},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, ", as the first write: ", first), func(t *testing.T) {
				s := startSite(t)
				conn := s.dial()
				conn.write(c.request)
				x := s.next()
				app := c.app
				if !first {
					app = twice(app)
				}
				s.do(func() { // on the reactor's goroutine: it can't hear of the loss in between
					_ = conn.SetLinger(0)
					_ = conn.Close()
					app(x)
				})
				for live := 1; live > 0; {
					s.do(func() { live = s.web.Live() })
				}
				if x.cancels > 1 {
					t.Fatalf("cancelled %d times", x.cancels)
				}
			})
		}
	}
}

func TestDrainClosesIdleConnectionsAndLetsTheOthersFinish(t *testing.T) {
	s := startSite(t)
	fresh, used, busy := s.dial(), s.dial(), s.dial()
	used.get("/")
	x := s.next()
	s.do(func() { x.respond(200, "", true) })
	used.read("GET")
	busy.get("/busy")
	x = s.next()
	idle := make(chan struct{})
	s.do(func() { s.web.Drain(func() { close(idle) }) })
	fresh.wantEnd()
	used.wantEnd()
	select {
	case <-idle:
		t.Fatal("idle while a request runs")
	default:
	}
	s.do(func() { x.respond(200, "late", true) })
	r, body := busy.read("GET")
	if body != "late" || !r.Close {
		t.Fatalf("%q, close %v", body, r.Close)
	}
	busy.wantEnd()
	await(t, idle, "idleness")
}

func TestDrainWithoutConnectionsIsDoneAtOnce(t *testing.T) {
	s := startSite(t)
	calls := 0
	s.do(func() { s.web.Drain(func() { calls++ }) })
	if calls != 1 {
		t.Fatalf("told %d times", calls)
	}
}

func TestAbortEndsEverythingAndCancels(t *testing.T) {
	s := startSite(t)
	idle, busy := s.dial(), s.dial()
	busy.get("/")
	x := s.next()
	s.do(s.web.Abort)
	idle.wantEnd()
	_, _ = io.ReadAll(busy.r)
	s.do(func() {
		if x.cancels != 1 || s.web.Live() != 0 {
			t.Errorf("%d cancellations, %d connections left", x.cancels, s.web.Live())
		}
	})
}

func TestTimeoutsEndWhatTakesTooLong(t *testing.T) {
	short := 2 * reactor.Tick
	for _, c := range []struct {
		name, request string
		set           func(*Config)
		credit        int
		status        string // "": closed in silence
	}{
		{"a client that never says anything", "", func(c *Config) { c.HeaderTimeout = short }, 0, ""},
		{"a head that does not end", "GET / HT", func(c *Config) { c.HeaderTimeout = short }, 0, "HTTP/1.1 408"},
		{
			"a body that does not come", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na",
			func(c *Config) { c.BodyTimeout = short }, 100, "HTTP/1.1 408",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t, c.set)
			conn := s.dial()
			conn.write(c.request)
			if c.credit > 0 {
				x := s.next()
				s.do(func() { x.give(c.credit) })
				defer func() { await(t, s.app.cancelled, "the cancellation") }()
			}
			conn.want(c.status)
			if c.status == "" {
				conn.wantEnd()
			}
		})
	}
	t.Run("an idle connection", func(t *testing.T) {
		s := startSite(t, func(c *Config) { c.KeepAlive = short })
		conn := s.dial()
		conn.get("/")
		x := s.next()
		s.do(func() { x.respond(200, "", true) })
		conn.read("GET")
		conn.wantEnd()
	})
	t.Run("but not a body that the application has not asked for", func(t *testing.T) {
		s := startSite(t, func(c *Config) { c.BodyTimeout, c.HeaderTimeout, c.KeepAlive = short, short, short })
		conn := s.dial()
		conn.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\na")
		x := s.next()
		rang := make(chan struct{})
		s.do(func() { s.r.After(2*short, func() { close(rang) }) })
		await(t, rang, "the alarm")
		s.do(func() { x.respond(200, "ok", true) })
		if _, body := conn.read("POST"); body != "ok" {
			t.Fatal(body)
		}
	})
}

// spec: http 11
func TestAClientThatHasSaidAllIsAnsweredIfThatIsSoon(t *testing.T) {
	s := startSite(t)
	for range 20 {
		c := s.dial()
		c.get("/")
		x := s.next()
		_ = c.CloseWrite()
		settle(t, s.r)
		s.do(func() { x.respond(200, "ok", true) })
		if _, body := c.read("GET"); body != "ok" {
			t.Fatal(body)
		}
		c.wantEnd()
	}
	c := s.dial()
	c.get("/")
	x := s.next()
	s.do(func() { x.respond(200, strings.Repeat("x", 16<<20), false, "content-length: 16777217") })
	_ = c.CloseWrite()
	settle(t, s.r)
	rang := make(chan struct{})
	s.do(func() { s.r.After(3*hungTime, func() { close(rang) }) })
	await(t, rang, "the alarm")
	if n, err := io.CopyN(io.Discard, c.r, 16<<20); err != nil { // what is being sent is sent to its end
		t.Fatal(n, err)
	}
	await(t, s.app.cancelled, "the cancellation") // and then there is nobody to wait for
}

// spec: http 11
func TestAnUploadThatEndsInAHalfCloseIsWhole(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	body := strings.Repeat("u", 200_000)
	c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + body)
	_ = c.CloseWrite()
	x := s.next()
	settle(t, s.r)
	for got := 0; got < len(body); {
		s.do(func() { x.give(10_000) })
		s.do(func() { got = len(x.body) })
	}
	s.do(func() {
		if string(x.body) != body || !x.end {
			t.Errorf("%d bytes", len(x.body))
		}
		x.respond(200, "ok", true)
	})
	if _, text := c.read("POST"); text != "ok" {
		t.Fatal(text)
	}
}

// spec: http 4
func TestABodyThatNobodyReadIsDroppedWheneverItComes(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	for range 3 {
		c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 22\r\n\r\n")
		x := s.next()
		c.write("{unread")
		s.do(func() {
			x.respond(200, "an", false, "content-length: 6")
			x.r.Data([]byte("swer"), true)
		})
		r, body := c.read("POST")
		if body != "answer" || r.Close {
			t.Fatal(body, r.Header)
		}
		c.write("GET / HTTP/1.")
		c.write("1}GET / HTTP/1.1\r\nHost: h\r\n\r\n") // the first of them is body
		x = s.next()
		s.do(func() { x.respond(200, "next", true) })
		if _, body := c.read("GET"); body != "next" {
			t.Fatal(body)
		}
	}
	for _, whole := range []bool{true, false} {
		c := s.dial()
		c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n")
		x := s.next()
		s.do(func() {
			x.respond(200, "too much to drop", whole)
			if !whole {
				x.r.Data(nil, true)
			}
		})
		if r, _ := c.read("POST"); !r.Close {
			t.Error("kept, or not said")
		}
	}
}

// spec: http 6
func TestARefusedHeadRequestHasNoBodyEither(t *testing.T) {
	s := startSite(t, func(c *Config) { c.HeaderTimeout = 2 * reactor.Tick })
	for _, request := range []string{
		"HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nbad field\r\n", "HEAD /" + strings.Repeat("a", 5000), "HEAD / HTTP/9.9\r\n\r\n",
		"\r\nHEAD / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", "HEAD / HT",
	} {
		c := s.dial()
		c.write(request)
		if r, body := c.read("HEAD"); r.StatusCode < 400 || body != "" {
			t.Error(request, r.Status, body)
		}
		c.wantEnd()
	}
}

func TestASlowReaderGetsTheWholeResponseHoweverShortTheKeepAlive(t *testing.T) {
	s := startSite(t, func(c *Config) { c.KeepAlive = reactor.Tick })
	c := s.dial()
	c.get("/")
	x := s.next()
	body := strings.Repeat("x", 16<<20) // more than the kernel's buffers hold
	s.do(func() { x.respond(200, body, true) })
	rang := make(chan struct{})
	s.do(func() { s.r.After(5*reactor.Tick, func() { close(rang) }) })
	await(t, rang, "the alarm")
	if _, got := c.read("GET"); len(got) != len(body) {
		t.Fatalf("%d bytes of %d", len(got), len(body))
	}
	c.wantEnd() // and then the connection is idle, and is closed
}

func TestAnAnswerToAnUnreadUploadArrives(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
	x := s.next()
	s.do(func() {
		x.give(10)
		x.respond(413, "too much", true)
	})
	// The client goes on for a while, as clients do; a reset would take the answer away.
	for range 50 {
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if r, body := c.read("POST"); r.StatusCode != 413 || body != "too much" {
		t.Fatal(r.Status, body)
	}
}

func TestWithoutDescriptorsAcceptingPausesAndGoesOn(t *testing.T) {
	s := startSite(t)
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(sock), "client")
	defer f.Close()
	_ = unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)})
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	none := syscall.Rlimit{Cur: 0, Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore := func() {
		if !restored {
			restored = true
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
		}
	}
	defer restore()
	var port int
	_, _ = fmt.Sscanf(s.addr, "127.0.0.1:%d", &port)
	if err := unix.Connect(sock, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(s.log.String(), "can't accept") {
		settle(t, s.r)
	}
	restore()
	if _, err := unix.Write(sock, []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	x := s.next()
	s.do(func() { x.respond(200, "", true) })
	b := make([]byte, 100)
	if n, err := unix.Read(sock, b); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200") {
		t.Fatalf("%q, %v", b[:n], err)
	}
	for !strings.Contains(s.log.String(), "accepted again") {
		settle(t, s.r)
	}
	if n := strings.Count(s.log.String(), "can't accept"); n != 1 {
		t.Fatalf("logged %d times", n)
	}
}
