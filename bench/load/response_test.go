//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseResponseReadsOneReply(t *testing.T) {
	const rest = "HTTP/1.1 200 OK\r\n"
	cases := []struct {
		name, in, body string
		status, n      int
		closing        bool
	}{
		{"content-length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, 43, false},
		{"what follows is left", "HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello" + rest, "hello", 200, 42, false},
		{"empty body", "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "", 503, 40, false},
		{"connection close", "HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n", "", 200, 57, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello", 200, 71, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, n, err := parseResponse([]byte(c.in))
			if err != nil || string(r.body) != c.body || r.status != c.status || n != c.n || r.closing != c.closing {
				t.Fatalf("got %+v, n %d, error %v", r, n, err)
			}
		})
	}
}

func TestParseResponseAsksForMoreAtEveryCut(t *testing.T) {
	for _, whole := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		for i := range len(whole) {
			if _, _, err := parseResponse([]byte(whole[:i])); !errors.Is(err, errIncomplete) {
				t.Fatalf("%q: got %v, want incomplete", whole[:i], err)
			}
		}
	}
}

func TestParseResponseRefusesWhatItCannotFrame(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\n\r\nhello",
		"HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n",
		strings.Repeat("x", maxHead+1),
	} {
		if _, _, err := parseResponse([]byte(in)); err == nil || errors.Is(err, errIncomplete) {
			t.Errorf("%.40q: got %v, want an error", in, err)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	cases := []struct {
		got     response
		closing bool
		want    string
	}{
		{response{status: 502, body: []byte("hello")}, false, "status 502"},
		{response{status: 200, body: []byte("hell")}, false, "body of 4 bytes, want 5"},
		{response{status: 200, body: []byte("hellO")}, false, "wrong bytes"},
		{response{status: 200, body: []byte("hello"), closing: true}, false, "ends a keep-alive connection"},
		{response{status: 200, body: []byte("hello")}, true, "keeps a connection"},
	}
	for _, c := range cases {
		if err := (&exchange{closing: c.closing}).check(c.got, []byte("hello")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestQuantilesAreNearestRank(t *testing.T) {
	var d []time.Duration
	for i := 1000; i > 0; i-- {
		d = append(d, time.Duration(i)*time.Microsecond)
	}
	if got, want := quantilesOf(d), (quantiles{500, 900, 990, 999, 1000}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := quantilesOf(d[:1]); got.P50 != 1 || got.Max != 1 {
		t.Errorf("one sample: got %v", got)
	}
	if got := quantilesOf(nil); got != (quantiles{}) {
		t.Errorf("no sample: got %v", got)
	}
}
