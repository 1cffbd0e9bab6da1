package web

import (
	"io"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// flood answers with more than the kernel's buffers hold.
func (x *fakeExchange) flood() { x.respond(200, strings.Repeat("x", 16<<20), true) }

// spec: http 3
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	s := startSite(t)
	s.do(func() { s.r.SendTimeout = 2 * reactor.Tick })
	for _, end := range []bool{true, false} {
		c := s.dial()
		c.get("/")
		x := s.next()
		s.do(func() {
			if end {
				x.flood()
			} else {
				x.respond(200, strings.Repeat("x", 16<<20), false)
			}
		})
		if !end {
			await(t, s.app.cancelled, "the cancellation")
		}
		for s.live() > 0 {
			settle(t, s.r)
		}
		if n, err := io.Copy(io.Discard, c.r); err == nil || n >= 16<<20 {
			t.Fatalf("%d bytes, then %v", n, err)
		}
	}
	if n := s.web.cfg.Refusals.Count(telemetry.SendTimeout); n != 2 {
		t.Errorf("%d counted", n)
	}
	if !strings.Contains(s.log.String(), "send timeout") {
		t.Error("nothing in the log")
	}
}

func (s *site) live() (n int) {
	s.do(func() { n = s.web.Live() })
	return n
}

// spec: http 24
func TestWithShortBuffersWindowsAreNarrow(t *testing.T) {
	s := startSite(t, func(c *Config) { c.BufferLimit = 1 << 20 })
	slow := s.dial()
	slow.get("/")
	x := s.next()
	if x.window != reactor.FullWindow {
		t.Fatal(x.window)
	}
	s.do(x.flood)
	c := s.dial()
	c.get("/")
	x = s.next()
	if x.window != reactor.NarrowWindow {
		t.Fatal(x.window)
	}
	s.do(func() { x.respond(200, strings.Repeat("x", reactor.NarrowWindow), false) })
	c.want("HTTP/1.1 200")
	s.do(func() {
		if x.granted != reactor.NarrowWindow {
			t.Errorf("%d granted", x.granted)
		}
	})
	_ = slow.SetLinger(0)
	_ = slow.Close()
	for s.live() > 1 {
		settle(t, s.r)
	}
	s.do(func() { // there is room again: the window opens
		x.r.Data([]byte("x"), false)
		if x.granted != reactor.FullWindow+1 {
			t.Errorf("%d granted in all", x.granted)
		}
		if s.r.Lent() != 0 {
			t.Errorf("%d bytes lent", s.r.Lent())
		}
	})
}

// A window that shrinks takes back no credit: what was granted may still be used, and is not granted again.
func TestAWindowShrinksByWhatIsOwed(t *testing.T) {
	s := startSite(t, func(c *Config) { c.BufferLimit = 1 << 20 })
	c := s.dial()
	c.get("/")
	x := s.next()
	s.do(func() { x.respond(200, "", false) })
	slow := s.dial()
	slow.get("/")
	s.do(s.next().flood)
	s.do(func() {
		x.r.Data(make([]byte, reactor.FullWindow/2), false)
		if x.granted != 0 {
			t.Errorf("%d granted", x.granted)
		}
		x.r.Data(make([]byte, reactor.FullWindow/2), false)
		if x.granted != reactor.NarrowWindow {
			t.Errorf("%d granted in all", x.granted)
		}
	})
}

// spec: http 24
func TestWithFullBuffersAHeadInPiecesIsRefused(t *testing.T) {
	s := startSite(t, func(c *Config) { c.BufferLimit = 1 << 20 })
	slow := s.dial()
	slow.get("/")
	s.do(s.next().flood)
	c := s.dial()
	c.write("GET / HT")
	r, _ := c.read("GET")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Error(r.Status, r.Header)
	}
	whole := s.dial()
	whole.get("/")
	x := s.next()
	s.do(func() { x.respond(200, "ok", true) })
	whole.read("GET")
	if n := s.web.cfg.Refusals.Count(telemetry.BuffersFull); n != 1 {
		t.Errorf("%d counted", n)
	}
}

func TestEveryReasonHasItsAnswer(t *testing.T) {
	for reason := exchange.None + 1; reason.String() != "unknown"; reason++ {
		if failures[reason] < 400 {
			t.Errorf("%s has no status", reason)
		}
	}
}
