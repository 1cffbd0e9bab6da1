package outbound

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/message"
)

// program is the Python side of a session, as far as these tests need it.
type program struct {
	*message.Conn
	t      *testing.T
	served chan error
}

func newProgram(t *testing.T, s *Server) *program {
	t.Helper()
	ours, theirs, err := message.Pair("client")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := message.FromFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{conn, t, make(chan error, 1)}
	go func() { p.served <- s.Serve(ours) }()
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

// ask sends a message and returns the answer; the descriptors that came are closed.
func (p *program) ask(m any) answer {
	p.t.Helper()
	if err := p.Send(m, nil); err != nil {
		p.t.Fatal(err)
	}
	var a answer
	var r message.Rights
	if err := p.Receive(&a, &r); err != nil {
		p.t.Fatal(err)
	}
	r.Close()
	return a
}

func described(change func(*Description)) request {
	d := Description{HTTP1: true, MaxKeepalive: 10, Expiry: -1}
	if change != nil {
		change(&d)
	}
	return request{Type: "transport", Description: d}
}

func TestTransportsWithTheSameDescriptionShareAPool(t *testing.T) {
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	a, b := newProgram(t, s), newProgram(t, s)
	if n := a.ask(described(nil)).Number; n != 1 {
		t.Errorf("the first transport is %d", n)
	}
	a.ask(described(func(d *Description) { d.Retries = 3 }))
	b.ask(described(nil))
	s.mu.Lock()
	pools := len(s.pools)
	s.mu.Unlock()
	if pools != 2 {
		t.Errorf("%d pools for two descriptions", pools)
	}
	_ = a.Close()
	_ = b.Close()
	for _, p := range []*program{a, b} {
		if err := <-p.served; err != nil {
			t.Error(err)
		}
	}
	if len(s.pools) != 0 {
		t.Errorf("%d pools that nobody uses", len(s.pools))
	}
}

func TestDescriptionsThatAreRefused(t *testing.T) {
	p := newProgram(t, &Server{Log: slog.New(slog.DiscardHandler)})
	for want, change := range map[string]func(*Description){
		"no IP address":     func(d *Description) { d.LocalAddress = "here" },
		"deny must be":      func(d *Description) { d.Deny = "all" },
		"unknown scheme":    func(d *Description) { d.Proxy = &ProxyOf{URL: "ftp://proxy:1"} },
		"URL is none":       func(d *Description) { d.Proxy = &ProxyOf{URL: "http://"} },
		"can't read":        func(d *Description) { d.TLS.CAFile = "/no-such-file" },
		"no certificate in": func(d *Description) { d.TLS.CAFile = os.DevNull },
		"can't use":         func(d *Description) { d.TLS.Cert = "/no-such-file" },
	} {
		if a := p.ask(described(change)); a.Number != 0 || !strings.Contains(a.Error, want) {
			t.Errorf("%s: %+v", want, a)
		}
	}
}

func TestWhatBreaksTheRulesEndsTheSession(t *testing.T) {
	for name, m := range map[string]any{
		"a type that is none": request{Type: "lynk"},
		"no object":           []int{1},
	} {
		p := newProgram(t, &Server{Log: slog.New(slog.DiscardHandler)})
		if err := p.Send(m, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-p.served; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLinksAreBoundedAndEndWithTheirSession(t *testing.T) {
	before := openFiles(t)
	p := newProgram(t, &Server{Log: slog.New(slog.DiscardHandler)})
	for range maxLinks {
		if a := p.ask(request{Type: "link"}); a.Error != "" || a.RingSize != ringSize {
			t.Fatalf("%+v", a)
		}
	}
	if a := p.ask(request{Type: "link"}); a.Error == "" {
		t.Error("one link too many")
	}
	if err := p.Send(request{Type: "unlink", Link: 7}, nil); err != nil {
		t.Fatal(err)
	}
	if a := p.ask(request{Type: "link"}); a.Number != maxLinks+1 {
		t.Errorf("in the place of one that has ended: %+v", a)
	}
	_ = p.Close()
	if err := <-p.served; err != nil {
		t.Error(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d descriptors are left, %d before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	n := 0
	for fd := range 1 << 12 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

func TestProxiesOfTheEnvironment(t *testing.T) {
	choose, err := (&EnvironOf{HTTP: "one:1", All: "socks5://two:2", No: "direct.example,.local"}).proxies()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secure     bool
		host, want string
	}{
		{false, "example.org:80", "one:1"},
		{true, "example.org:443", "two:2"},
		{true, "direct.example:443", ""},
		{false, "a.local:80", ""},
		{false, "localhost:80", ""},
	} {
		got := ""
		if p := choose(c.secure, c.host); p != nil {
			got = p.Host
		}
		if got != c.want {
			t.Errorf("%s: %q instead of %q", c.host, got, c.want)
		}
	}
}

func TestCertificatesOfAnyName(t *testing.T) {
	origin := httptest.NewTLSServer(http.NotFoundHandler())
	defer origin.Close()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: origin.Certificate().Raw}))
	for _, c := range []struct {
		hostname, verify, right, fine bool
	}{{true, true, true, true}, {true, true, false, false}, {false, true, false, true}, {false, false, false, true}} {
		config, err := (&SecurityOf{Verify: c.verify, Hostname: c.hostname, CAs: authority}).config()
		if err != nil {
			t.Fatal(err)
		}
		config.ServerName = "example.com"
		if !c.right {
			config.ServerName = "other.example"
		}
		if err := handshake(origin.Listener.Addr(), config); (err == nil) != c.fine {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func handshake(at net.Addr, config *tls.Config) error {
	raw, err := net.DialTimeout("tcp", at.String(), time.Second)
	if err != nil {
		return err
	}
	defer raw.Close()
	return tls.Client(raw, config).Handshake()
}
