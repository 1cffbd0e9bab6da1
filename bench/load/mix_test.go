//go:build linux

package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDrawsDependOnTheSeedAloneAndKeepTheShares(t *testing.T) {
	kinds := []kind{{path: "/"}, {path: "/a", share: 0.01}, {path: "/b", share: 0.2}}
	drawn := draws(100_000, kinds, 7)
	if !slices.Equal(drawn, draws(100_000, kinds, 7)) || slices.Equal(drawn, draws(100_000, kinds, 8)) {
		t.Error("the seed doesn't decide")
	}
	if !slices.Equal(drawn[:1000], draws(1000, kinds, 7)) {
		t.Error("a shorter run is drawn otherwise")
	}
	var count [3]int
	for _, k := range drawn {
		count[k]++
	}
	if a, b := count[1], count[2]; a < 900 || a > 1100 || b < 19_500 || b > 20_500 {
		t.Errorf("of 100,000: %v", count)
	}
	if slices.Max(draws(1000, kinds[:1], 7)) != 0 {
		t.Error("without a mix there is one kind")
	}
}

func TestParseAlsoRefusesWhatIsNoShareOfAPath(t *testing.T) {
	for text, want := range map[string]string{
		"/a": "want PATH", "/a,1,x": "share", "/a,0,x": "share", "/a,NaN,x": "share", "/a,x,x": "share", "/a,0.1,/nowhere": "no such file",
	} {
		if _, err := parseAlso(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// mixed answers each path with its own name, the slow one later.
func mixed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends when the listener is closed
		for {
			w, err := l.Accept()
			if err != nil {
				return
			}
			go answerByPath(w) // ends with its connection
		}
	}()
	return l.Addr().String()
}

func answerByPath(w net.Conn) {
	defer func() { _ = w.Close() }()
	b := make([]byte, 1024)
	for {
		n, err := w.Read(b)
		if err != nil {
			return
		}
		body := "hello"
		if strings.HasPrefix(string(b[:n]), "GET /slow ") {
			time.Sleep(20 * time.Millisecond)
			body = "later"
		}
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"+body)
	}
}

func TestAMixHasLatenciesByPathAndChecksEachReply(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(slow, []byte("later"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runPlan(t, mixed(t), "-connections", "8", "-count", "200", "-also", "/slow,0.1,"+slow, "-seed", "3")
	of := r.Kinds["/slow"]
	if r.Failures != 0 || of.Requests < 5 || of.Requests+r.Kinds["/"].Requests != 200 {
		t.Fatalf("%+v", r)
	}
	if of.Latency.P50 < 20_000 || r.Kinds["/"].Latency.P50 > of.Latency.P50 {
		t.Errorf("%+v", r.Kinds)
	}
	wrong := runPlan(t, mixed(t), "-connections", "1", "-count", "100", "-also", "/fast,0.1,"+slow, "-seed", "3")
	if wrong.Failures == 0 || wrong.Failures+wrong.Requests != 100 || wrong.Kinds["/fast"].Requests != 0 {
		t.Errorf("replies of another path count: %+v", wrong)
	}
}

func TestAReloadMayEndConnectionsButNotRequests(t *testing.T) {
	const last = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
	politely := serve(t, get, func(w net.Conn, i int) {
		if i < 9 {
			_, _ = io.WriteString(w, goodReply)
			return
		}
		_, _ = io.WriteString(w, last)
		_ = w.Close()
	})
	r := runPlan(t, politely, "-connections", "1", "-count", "200", "-reconnect")
	if r.Requests != 200 || r.Failures != 0 || r.Ended != 20 {
		t.Errorf("%+v", r)
	}
	rudely := serve(t, get, func(w net.Conn, i int) {
		if i == 9 {
			_ = w.Close()
			return
		}
		_, _ = io.WriteString(w, goodReply)
	})
	r = runPlan(t, rudely, "-connections", "1", "-count", "2000", "-reconnect")
	if r.Requests != 1800 || r.Failures != 200 {
		t.Errorf("failures are to be counted to the end: %+v", r)
	}
}

func TestAnIdleConnectionThatHasEndedIsOpenedAgain(t *testing.T) {
	end, gone := make(chan struct{}), make(chan struct{})
	addr := serve(t, get, func(w net.Conn, _ int) {
		_, _ = io.WriteString(w, goodReply)
		if _, open := <-end; open {
			_ = w.Close()
			gone <- struct{}{}
		}
	})
	c := newTestClient(t, addr, "-connections", "1", "-count", "1", "-reconnect")
	t.Cleanup(func() { close(end) })
	for i := range 3 {
		r, err := c.run()
		if err != nil || r.Requests != 1 || r.Failures != 0 || r.Ended != min(i, 1) {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
		end <- struct{}{}
		<-gone
	}
}
