package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// origin is a server of the standard library, with the ways of answering that tests want.
func origin(t *testing.T, h2 bool) (*httptest.Server, Settings) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 has it anyway
		w.Header().Set("Trailer", "X-Behind")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Behind", "it")
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
	})
	s := httptest.NewUnstartedServer(mux)
	settings := Settings{HTTP1: true, HTTP2: h2, MaxIdle: 10, IdleFor: -1}
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		settings.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, settings
}

func request(s *httptest.Server, method, target string) *Request {
	secure := strings.HasPrefix(s.URL, "https")
	return &Request{Method: method, Secure: secure, Host: s.Listener.Addr().String(), Target: target}
}

func fetch(t *testing.T, c *Client, r *Request) (*Response, string) {
	t.Helper()
	response, err := c.Do(context.Background(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Target, err)
	}
	body, err := io.ReadAll(response)
	if err != nil {
		t.Fatalf("%s %s: body: %v", r.Method, r.Target, err)
	}
	return response, string(body)
}

func TestRequests(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s, settings := origin(t, h2)
		c := New(settings)
		t.Cleanup(c.Close)
		version := 11
		if h2 {
			version = 20
		}
		for range 3 {
			if r, body := fetch(t, c, request(s, "GET", "/hello")); r.Status != 200 || body != "hello" || r.Version != version {
				t.Errorf("GET: %d %q, version %d", r.Status, body, r.Version)
			}
			if r, body := fetch(t, c, request(s, "HEAD", "/hello")); r.Status != 200 || body != "" {
				t.Errorf("HEAD: %d %q", r.Status, body)
			}
		}
		if _, body := fetch(t, c, request(s, "GET", "/large")); len(body) != 4<<20 {
			t.Errorf("GET of 4 MiB: %d bytes", len(body))
		}
		post := request(s, "POST", "/echo")
		post.First, post.Body = []byte("first "), io.MultiReader(strings.NewReader("second "), strings.NewReader(strings.Repeat("third", 100000)))
		r, body := fetch(t, c, post)
		if !strings.HasPrefix(body, "first second third") || len(body) != 13+500000 {
			t.Errorf("POST: %.20q, %d bytes", body, len(body))
		}
		if len(r.Trailers) != 1 || !strings.EqualFold(r.Trailers[0].Name, "x-behind") || r.Trailers[0].Value != "it" {
			t.Errorf("trailers %v", r.Trailers)
		}
		if all, _ := c.Open(); all != 1 {
			t.Errorf("%d connections for one request at a time", all)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s, settings := origin(t, h2)
		settings.MaxConnections = 7
		c := New(settings)
		t.Cleanup(c.Close)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for range 20 {
					if _, body := fetch(t, c, request(s, "GET", "/hello")); body != "hello" {
						t.Errorf("%q", body)
					}
				}
			})
		}
		wg.Wait()
		if all, _ := c.Open(); all > 7 || h2 && all != 1 {
			t.Errorf("%d connections, HTTP/2: %v", all, h2)
		}
	}
}

func TestNothingIsInjected(t *testing.T) {
	c := New(Settings{})
	for _, r := range []Request{
		{Method: "GET /", Host: "127.0.0.1:9", Target: "/"},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/ HTTP/1.1\r\nX: y"},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"X", "a\r\nY: b"}}},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"X: y\r\nZ", "a"}}},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"Content-Length", "1"}}, First: []byte("a GET / HTTP/1.1")},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"Content-Length", "5"}}, First: []byte("a")},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"Content-Length", "0"}, {"content-length", "1"}}},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"Content-Length", "0"}, {"Transfer-Encoding", "chunked"}}},
		{Method: "GET", Host: "127.0.0.1:9", Target: "/", Fields: []Field{{"Transfer-Encoding", "gzip, chunked"}}},
	} {
		var e *Error
		if _, err := c.Do(context.Background(), &r); !errors.As(err, &e) || e.Kind != LocalProtocolError {
			t.Errorf("%q %q: %v", r.Method, r.Target, err)
		}
	}
}

func TestABodyIsAsLongAsItSays(t *testing.T) {
	s, settings := origin(t, false)
	c := New(settings)
	for body, fine := range map[string]bool{"12345": true, "1234": false, "123456": false} {
		r := request(s, "POST", "/echo")
		r.Fields = []Field{{"Content-Length", "6"}}
		r.First, r.Body = []byte("0"), strings.NewReader(body)
		_, err := c.Do(context.Background(), r)
		var e *Error
		if (err == nil) != fine || !fine && (!errors.As(err, &e) || e.Kind != LocalProtocolError) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
