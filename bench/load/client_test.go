//go:build linux

package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const goodReply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// serve answers each request of the exact bytes want by calling reply; anything else fails the test.
func serve(t *testing.T, want func(addr string) string, reply func(w net.Conn, i int)) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	request := want(l.Addr().String())
	var all sync.WaitGroup
	all.Go(func() { // ends when the listener is closed
		for {
			w, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { answer(t, w, request, reply) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

func answer(t *testing.T, w net.Conn, request string, reply func(w net.Conn, i int)) {
	defer func() { _ = w.Close() }()
	b := make([]byte, len(request))
	for i := 0; ; i++ {
		if _, err := io.ReadFull(w, b); err != nil {
			return
		}
		if string(b) != request {
			t.Errorf("request %d: got %q", i, b)
			return
		}
		reply(w, i)
	}
}

func get(addr string) string { return "GET / HTTP/1.1\r\nHost: " + addr + "\r\n\r\n" }

func write(text string) func(net.Conn, int) {
	return func(w net.Conn, _ int) { _, _ = io.WriteString(w, text) }
}

func runPlan(t *testing.T, addr string, args ...string) result {
	t.Helper()
	r, err := newTestClient(t, addr, args...).run()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newTestClient(t *testing.T, addr string, args ...string) *client {
	t.Helper()
	expect := filepath.Join(t.TempDir(), "expect")
	if err := os.WriteFile(expect, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := parseFlags(append([]string{"-addr", addr, "-expect", expect}, args...))
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClient(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestClosedLoopUsesEachConnectionInTurn(t *testing.T) {
	var mu sync.Mutex
	perConnection := map[string]int{}
	addr := serve(t, get, func(w net.Conn, _ int) {
		mu.Lock()
		perConnection[w.RemoteAddr().String()]++
		mu.Unlock()
		_, _ = io.WriteString(w, goodReply)
	})
	r := runPlan(t, addr, "-connections", "200", "-count", "200", "-in-flight", "16")
	if r.Requests != 200 || r.Failures != 0 || len(perConnection) != 200 {
		t.Fatalf("%+v on %d connections", r, len(perConnection))
	}
}

func TestRepliesInPiecesAreJoined(t *testing.T) {
	addr := serve(t, get, func(w net.Conn, i int) {
		cut := 1 + i%(len(goodReply)-1)
		_, _ = io.WriteString(w, goodReply[:cut])
		time.Sleep(100 * time.Microsecond) // only makes it likely that they arrive apart
		_, _ = io.WriteString(w, goodReply[cut:])
	})
	if r := runPlan(t, addr, "-connections", "4", "-count", "200"); r.Requests != 200 || r.Failures != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestWrongRepliesAreFailures(t *testing.T) {
	for want, text := range map[string]string{
		"status 500":       "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello",
		"want 5":           "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",
		"wrong bytes":      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhullo",
		"after the reply":  goodReply + "x",
		"can't tell where": "HTTP/1.1 200 OK\r\n\r\nhello",
	} {
		r := runPlan(t, serve(t, get, write(text)), "-connections", "2", "-count", "10")
		if r.Requests != 0 || r.Failures != 10 || !strings.Contains(strings.Join(r.Reasons, ";"), want) {
			t.Errorf("%s: got %+v", want, r)
		}
	}
}

func TestAClosedConnectionIsAFailure(t *testing.T) {
	addr := serve(t, get, func(w net.Conn, i int) {
		if i == 2 {
			_ = w.Close()
			return
		}
		_, _ = io.WriteString(w, goodReply)
	})
	r := runPlan(t, addr, "-connections", "1", "-count", "9")
	if r.Requests != 6 || r.Failures != 3 {
		t.Fatalf("%+v", r)
	}
}

func TestAServerThatEndsEachConnectionIsAskedOnNewOnes(t *testing.T) {
	var mu sync.Mutex
	connections := map[string]bool{}
	addr := serve(t, get, func(w net.Conn, _ int) {
		mu.Lock()
		connections[w.RemoteAddr().String()] = true
		mu.Unlock()
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
		_ = w.Close()
	})
	r := runPlan(t, addr, "-connections", "4", "-count", "40", "-closing")
	if r.Requests != 40 || r.Failures != 0 || len(connections) != 40 {
		t.Fatalf("%+v on %d connections", r, len(connections))
	}
}

func TestEchoBodiesDiffer(t *testing.T) {
	x, err := newExchange(exchangeFlags{addr: "127.0.0.1:1", method: "POST", path: "/", echo: 100})
	if err != nil {
		t.Fatal(err)
	}
	one, body1 := x.next(nil, 0)
	two, body2 := x.next(nil, 0)
	if !bytes.HasSuffix(one, body1) || bytes.Equal(body1, body2) || !bytes.Contains(two, []byte("Content-Length: 100\r\n\r\n")) {
		t.Fatalf("%q\n%q", one, two)
	}
}

func TestMoreFieldsAreSentAfterHost(t *testing.T) {
	want := func(addr string) string {
		return "GET / HTTP/1.1\r\nHost: " + addr + "\r\nx-field-01: 0123456789abcdefgh01\r\nx-field-02: 0123456789abcdefgh02\r\n\r\n"
	}
	r := runPlan(t, serve(t, want, write(goodReply)), "-connections", "1", "-count", "2", "-fields", "2")
	if r.Requests != 2 || r.Failures != 0 {
		t.Fatalf("%+v", r)
	}
}

// A server that stands still must show in the latency of what was due meanwhile, not only of what was under way.
func TestOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	addr := serve(t, get, func(w net.Conn, i int) {
		if i == 50 {
			time.Sleep(stall)
		}
		_, _ = io.WriteString(w, goodReply)
	})
	r := runPlan(t, addr, "-connections", "1", "-rate", "500", "-duration", "1s")
	if r.Requests != 500 || r.Failures != 0 {
		t.Fatalf("%+v", r)
	}
	// 200 ms at 500/s hold up 100 of the 500 requests; a closed loop would show one slow request, and p90 would be small.
	if r.Latency.P90 < 50_000 || r.Latency.Max < 200_000 {
		t.Errorf("the stall is hidden: %+v", r.Latency)
	}
	if r.Late.P50 > r.Latency.P90 {
		t.Errorf("the stall counts as the client's own lateness: %+v", r.Late)
	}
}
