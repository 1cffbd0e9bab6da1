//go:build linux

package main

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate records what each connection sends and ends the ones that endAfter says, after so many bytes of the drip.
type gate struct {
	mu       sync.Mutex
	heads    []string // by connection, in the order of acceptance
	endAfter func(connection int) int
	refusal  string
}

// serve takes connections, of which the first n send a whole request before they drip.
func (g *gate) serve(t *testing.T, n int) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { // ends when the listener is closed
		for i := 0; ; i++ {
			w, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.heads = append(g.heads, "")
			g.mu.Unlock()
			all.Go(func() { g.take(w, i, i < n) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() }) // after the client's own, which closes the connections
	return l.Addr().String()
}

func (g *gate) take(w net.Conn, i int, whole bool) {
	defer func() { _ = w.Close() }()
	if whole {
		_, _ = io.ReadFull(w, make([]byte, len(get(w.LocalAddr().String()))))
		_, _ = io.WriteString(w, goodReply)
	}
	end := g.endAfter(i)
	for b := make([]byte, 1); end != 0; end-- {
		if _, err := w.Read(b); err != nil {
			return
		}
		g.mu.Lock()
		g.heads[i] += string(b)
		g.mu.Unlock()
	}
	_, _ = io.WriteString(w, g.refusal)
}

// dripFor has n connections answered once, drips for a while and returns what came of it.
func dripFor(t *testing.T, g *gate, n string, connections int, took time.Duration) dripResult {
	t.Helper()
	c := newTestClient(t, g.serve(t, connections), "-connections", n, "-count", n, "-drip")
	if r, err := c.run(); err != nil || r.Requests != connections || r.Failures != 0 {
		t.Fatalf("%+v, error %v", r, err)
	}
	stop, line, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop.Close() }()
	time.AfterFunc(took, func() { _ = line.Close() })
	r, err := newDrip(c).run(stop)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEachConnectionDripsAByteOfAHeadPerSecond(t *testing.T) {
	t.Parallel()
	g := &gate{endAfter: func(int) int { return -1 }}
	r := dripFor(t, g, "200", 200, 2500*time.Millisecond)
	if due := int(r.Seconds * 200); r.Connections != 200 || r.Open != 200 || r.Cut != 0 || r.Sent != due {
		t.Fatalf("%+v, of which %d bytes were due", r, due)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, head := range g.heads {
		if len(head) < 2 || len(head) > 1+int(r.Seconds) || !strings.HasPrefix("GET / HTTP/1.1\r\n", head) {
			t.Errorf("connection %d got %q", i, head)
		}
	}
}

func TestWhoIsCutOffConnectsAgainAndStartsANewHead(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]string{"answered": "HTTP/1.1 408 Late\r\ncontent-length: 0\r\n\r\n", "closed": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{refusal: refusal, endAfter: func(connection int) int {
				if connection < 10 {
					return 1
				}
				return -1
			}}
			r := dripFor(t, g, "20", 20, 2500*time.Millisecond)
			if r.Open != 20 || r.Cut != 10 || r.Sent < 40 {
				t.Fatalf("%+v", r)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.heads) != 30 || !strings.HasPrefix(g.heads[29], "G") {
				t.Fatalf("heads %q", g.heads)
			}
		})
	}
}

func TestWhoIsRefusedWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	g := &gate{endAfter: func(connection int) int {
		if connection < 10 {
			return 1
		}
		return 0
	}}
	r := dripFor(t, g, "10", 10, 1500*time.Millisecond)
	// A turn may connect and send before the refusal is known: then it is cut off, connects again and is refused.
	if r.Open > 5 || r.Cut < 20 || r.Cut > 10+2*int(r.Seconds*10) {
		t.Fatalf("%+v", r)
	}
}

func TestAHeadIsNeverComplete(t *testing.T) {
	c := newTestClient(t, "127.0.0.1:1", "-drip")
	if head := string(newDrip(c).head); head != strings.TrimSuffix(get("127.0.0.1:1"), "\r\n")+"x-slow: -" {
		t.Errorf("got %q", head)
	}
}
