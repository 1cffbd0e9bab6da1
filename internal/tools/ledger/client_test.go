package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve has f answer the first request of each connection, and waits for the client's end.
func serve(t *testing.T, f func(c *net.TCPConn, r *http.Request)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					f(c.(*net.TCPConn), r)
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func ledger(t *testing.T, flags ...string) summary {
	t.Helper()
	p, err := parseFlags(flags, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(p, &out); err != nil {
		t.Fatal(err)
	}
	var s summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEachEndHasItsName(t *testing.T) {
	say := func(text string) func(*net.TCPConn, *http.Request) {
		return func(c *net.TCPConn, r *http.Request) {
			_, _ = io.WriteString(c, strings.ReplaceAll(text, "ID", r.FormValue("id")))
			_ = c.CloseWrite()
		}
	}
	head := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"
	for want, f := range map[string]func(*net.TCPConn, *http.Request){
		"200":        say(head + "hello ID"),
		"502":        say("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\nConnection: close\r\n\r\n502"),
		"wrong":      say(head + "hello 0-9"),
		"cut":        say(head + "hello"),
		"unanswered": say(""),
		"timeout":    func(*net.TCPConn, *http.Request) {},
		"reset":      func(c *net.TCPConn, _ *http.Request) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		s := ledger(t, "-addr", serve(t, f), "-connections", "1", "-count", "3", "-closing", "1", "-timeout", "200ms")
		if !maps.Equal(s.Outcomes, map[string]int{want: 3}) || s.Sent != 3 || s.Open != 0 {
			t.Errorf("%s: %+v", want, s)
		}
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	_ = l.Close()
	if s := ledger(t, "-addr", l.Addr().String(), "-count", "3"); s.Outcomes["refused"] != 3 {
		t.Errorf("refused: %+v", s)
	}
}

func TestEveryRequestIsALineOfTheLedger(t *testing.T) {
	addr := serve(t, func(c *net.TCPConn, r *http.Request) {
		body := "hello " + r.FormValue("id")
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	file := filepath.Join(t.TempDir(), "ledger")
	s := ledger(t, "-addr", addr, "-connections", "4", "-count", "50", "-rate", "1000", "-ledger", file, "-mix", "hello=4,abort=1")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		ids[strings.Fields(line)[0]] = true
	}
	if s.Sent != 50 || s.Outcomes["200"]+s.Outcomes["aborted"] != 50 || s.Outcomes["aborted"] == 0 || len(ids) != 50 {
		t.Errorf("%d ids, %+v", len(ids), s)
	}
}

func TestRequestsFollowFromTheSeed(t *testing.T) {
	all := func(seed uint64) (text string) {
		dice := rand.New(rand.NewPCG(seed, 0))
		for i := range 100 {
			kind := draw([]share{{"sum", 1}, {"stream", 1}, {"wait", 1}, {"stall", 1}, {"abort", 1}}, dice)
			text += string(newRequest("a", fmt.Sprint(i), kind, false, dice).text)
		}
		return text
	}
	if once, again := all(1), all(1); once != again || once == all(2) {
		t.Error("the seed is not what the requests follow from")
	}
}

func TestBodiesAreCompared(t *testing.T) {
	r := repeated{text: "abc", left: 7}
	if !r.goesOn([]byte("ab")) || !r.goesOn([]byte("cab")) || !r.goesOn([]byte("ca")) || r.left != 0 || r.goesOn([]byte("b")) {
		t.Error("abcabca is not what it is")
	}
	if r = (repeated{text: "abc", left: 7}); r.goesOn([]byte("abd")) {
		t.Error("abd is not abc")
	}
}

func TestMistakesInFlags(t *testing.T) {
	for _, flags := range []string{"-mix hello", "-mix hello=0", "-mix ping=1", "-connections 0", "-addr=", "x"} {
		if _, err := parseFlags(append([]string{"-addr", "a:1"}, strings.Fields(flags)...), io.Discard); err == nil {
			t.Errorf("%q is taken", flags)
		}
	}
	if p, err := parseFlags([]string{"-addr", "a:1", "-timeout", "1s"}, io.Discard); err != nil || p.timeout != time.Second {
		t.Error(p, err)
	}
}
