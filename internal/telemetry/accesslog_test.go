package telemetry

import (
	"bytes"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// sink is a writer that can be held up.
type sink struct {
	mu     sync.Mutex
	b      bytes.Buffer
	writes int
	stuck  chan struct{} // if not nil, a write waits until it is closed
}

func (s *sink) Write(p []byte) (int, error) {
	if s.stuck != nil {
		<-s.stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.b.Write(p)
}

func (s *sink) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *sink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s.b.String(), "\n"), "\n")
}

func TestAnAccessLineHasItsForm(t *testing.T) {
	at := time.Date(2026, 11, 23, 13, 15, 26, 123_456_789, time.Local)
	client := exchange.AddressFrom(netip.MustParseAddrPort("127.0.0.1:53412"))
	for _, c := range []struct {
		name string
		line Access
		want string
	}{
		{
			"the usual",
			Access{Client: client, Request: []byte("GET / HTTP/1.1"), Status: 200, Bytes: 13, Took: 412 * time.Microsecond, Worker: "worker-1"},
			`127.0.0.1:53412 "GET / HTTP/1.1" 200 13 0.412ms worker-1`,
		},
		{"never given to a worker", Access{Client: client, Request: []byte("GET / HTTP/1.1"), Status: 503}, `127.0.0.1:53412 "GET / HTTP/1.1" 503 0 0.000ms -`},
		{"IPv6", Access{Client: exchange.AddressFrom(netip.MustParseAddrPort("[::1]:80")), Status: 200, Took: 1234567 * time.Microsecond}, `[::1]:80 "" 200 0 1234.567ms -`},
		{"a unix socket", Access{Client: exchange.Address{Family: exchange.Unix}}, `unix "" 0 0 0.000ms -`},
		{"no address", Access{}, `- "" 0 0 0.000ms -`},
		{"a client that wants to forge a line", Access{Request: []byte("GET /\"\\\n\r\x00\x7f\xff HTTP/1.1")}, `- "GET /\"\\\x0a\x0d\x00\x7f\xff HTTP/1.1" 0 0 0.000ms -`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.line.Time = at
			want := "2026-11-23 13:15:26.123 " + c.want + "\n"
			if got := string(c.line.appendTo(nil)); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		})
	}
}

func TestAccessLinesAreGatheredAndWrittenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		l := NewAccessLog(&s)
		for i := range 100 {
			l.Log(&Access{Status: i})
		}
		if s.written() != 0 {
			t.Error("a request waited for the writer")
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		if s.written() != 1 || len(s.lines()) != 100 {
			t.Errorf("%d lines in %d writes", len(s.lines()), s.written())
		}
		l.Log(&Access{Status: 100})
		l.Close()
		for i, line := range s.lines() {
			if want := (&Access{Status: i}).appendTo(nil); line+"\n" != string(want) {
				t.Errorf("line %d: %q", i, line)
			}
		}
		if len(s.lines()) != 101 {
			t.Error("Close lost the last line")
		}
	})
}

func TestLinesThatAStuckWriterCantTakeAreDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sink{stuck: make(chan struct{})}
		l := NewAccessLog(&s)
		line := &Access{Request: bytes.Repeat([]byte("x"), 1<<20)}
		l.Log(line)
		time.Sleep(flushEvery)
		synctest.Wait()
		for range 20 {
			l.Log(line)
		}
		close(s.stuck)
		l.Close()
		last := s.lines()[len(s.lines())-1]
		if want := "access log: 12 lines dropped"; !strings.HasPrefix(last, want) {
			t.Errorf("%.100q, want %q", last, want)
		}
		if got := len(s.lines()); got != 1+8+1 {
			t.Errorf("%d lines", got)
		}
	})
}
