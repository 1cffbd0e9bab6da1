package reactor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// testCertificate is a server's own, and what a client trusts it by.
var testCertificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

func testConfigs() (server, client *tls.Config) {
	cert, pool := testCertificate()
	return &tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{RootCAs: pool, ServerName: "test"}
}

// secured is a talk with TLS, and what its handshake came to.
type secured struct {
	*talk
	raw    net.Conn
	client *tls.Config
	result chan error
}

// startSecured puts TLS on a connection of a reactor.
func startSecured(t *testing.T, r *Reactor, fds [2]int, limit time.Duration, server *tls.Config) *secured {
	t.Helper()
	cfg, client := testConfigs()
	if server != nil {
		cfg = server
	}
	k, peer := startTalk(t, r, fds)
	s := &secured{talk: k, raw: peer, client: client, result: make(chan error, 2)}
	do(t, r, func() {
		k.Halves()
		k.Secure(cfg, nil, limit, func(err error) { s.result <- err })
	})
	return s
}

// shakeHands does the client's side, through an optional wrapper.
func (s *secured) shakeHands(t *testing.T, over net.Conn) *tls.Conn {
	t.Helper()
	c := tls.Client(over, s.client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := s.outcome(t); err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome waits for the end of the handshake.
func (s *secured) outcome(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.result:
		return err
	case <-time.After(patience):
		t.Fatal("no end of the handshake")
		return nil
	}
}

// crumbs is a connection that sends a few bytes at a time.
type crumbs struct {
	net.Conn
	most int
}

func (c crumbs) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.Conn.Write(b[n:min(n+c.most, len(b))])
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

func TestTLSCarriesEverythingBothWaysHoweverItIsSplit(t *testing.T) {
	for _, most := range []int{1, 7, 1 << 20} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(fmt.Sprint(tls.VersionName(version), " ", most), func(t *testing.T) {
				r := startReactor(t, &idleSource{})
				fds := tcpPair(t)
				_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
				s := startSecured(t, r, fds, 0, nil)
				s.client.MaxVersion = version
				c := s.shakeHands(t, crumbs{s.raw, most})
				up := make([]byte, min(most*20_000, 1_000_000))
				down := make([]byte, 1_000_000)
				for i := range up {
					up[i] = byte(rand.Uint32())
				}
				for i := range down {
					down[i] = byte(rand.Uint32())
				}
				do(t, r, func() { s.got = s.got[:0] })
				sent := make(chan error, 1)
				go func() {
					_, err := c.Write(up)
					sent <- errors.Join(err, c.CloseWrite())
				}()
				do(t, r, func() { s.Send(down[:10], down[10:40_000], string(down[40_000:40_100])) })
				do(t, r, func() { s.Send(down[40_100:], nil, "") })
				got := make([]byte, len(down))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, down) {
					t.Fatalf("what the server has sent did not arrive: %v", err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				for done := false; !done; {
					s.until(t, "input")
					do(t, r, func() { done = s.Finished() })
				}
				do(t, r, func() {
					if !bytes.Equal(s.got, up) {
						t.Errorf("%d of the client's %d bytes arrived, or others", len(s.got), len(up))
					}
					s.Shut(false)
				})
				if n, err := c.Read(got); n != 0 || err != io.EOF {
					t.Errorf("the end was not said: %d bytes, %v", n, err)
				}
				s.until(t, "ended")
			})
		}
	}
}

func TestApplicationsAreToldWhatWasAgreedOn(t *testing.T) {
	r := startReactor(t, &idleSource{})
	cert, pool := testCertificate()
	s := startSecured(t, r, tcpPair(t), 0, &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAnyClientCert,
	})
	s.client.Certificates = []tls.Certificate{cert}
	s.shakeHands(t, s.raw)
	var d described
	do(t, r, func() {
		if err := json.Unmarshal(s.Secured(), &d); err != nil {
			t.Error(err)
		}
	})
	if d.Version != tls.VersionTLS13 || !strings.HasPrefix(d.CipherName, "TLS_") || d.ClientName != "CN=test" || len(d.Chain) != 1 ||
		!strings.HasPrefix(d.Chain[0], "-----BEGIN CERTIFICATE-----\n") || d.Server != "test" {
		t.Errorf("%+v", d)
	}
}

func TestHandshakesThatFail(t *testing.T) {
	for _, c := range []struct {
		name, want string
		limit      time.Duration
		act        func(s *secured)
	}{
		{"a client that speaks something else", "first record does not look like a TLS handshake", 0, func(s *secured) {
			_, _ = s.raw.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		}},
		{"a client that leaves in the middle", "unexpected EOF", 0, func(s *secured) {
			_, _ = s.raw.Write([]byte{22, 3, 1, 0, 100, 1})
			_ = s.raw.(*net.TCPConn).CloseWrite()
		}},
		{"a client that knows old versions only", "unsupported versions", 0, func(s *secured) {
			s.client.MinVersion, s.client.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			_ = tls.Client(s.raw, s.client).Handshake()
		}},
		{"a client that doesn't trust the certificate", "remote error: tls: bad certificate", 0, func(s *secured) {
			s.client.RootCAs = x509.NewCertPool()
			_ = tls.Client(s.raw, s.client).Handshake()
		}},
		{"a client that says nothing", errHandshakeTime.Error(), 2 * Tick, func(*secured) {}},
		{"a client that stops in the middle", errHandshakeTime.Error(), 2 * Tick, func(s *secured) {
			_, _ = s.raw.Write([]byte{22, 3, 1, 0, 100, 1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startReactor(t, &idleSource{})
			s := startSecured(t, r, tcpPair(t), c.limit, nil)
			go c.act(s)
			if err := s.outcome(t); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			_ = s.raw.Close()
			s.until(t, "ended")
			do(t, r, func() {
				if len(s.got) > 0 || s.Secured() != nil {
					t.Error("the protocol was given something")
				}
				s.Send([]byte("nothing of this may leave"), nil, "")
			})
			awaitHandshakes(t, r)
		})
	}
}

// awaitHandshakes waits until no goroutine of a handshake is left.
func awaitHandshakes(t *testing.T, r *Reactor) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		live := 0
		do(t, r, func() { live = r.shakes.live })
		if live == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d handshakes are still there", live)
		}
	}
}

func TestAClientThatNeverSaysAWordIsLostInSilence(t *testing.T) {
	r := startReactor(t, &idleSource{})
	s := startSecured(t, r, tcpPair(t), 0, nil)
	_ = s.raw.Close()
	s.until(t, "ended")
	if len(s.result) > 0 {
		t.Errorf("told of %v", <-s.result)
	}
	awaitHandshakes(t, r)
}

func TestAConnectionThatIsClosedInTheMiddleOfAHandshakeLeavesNothingBehind(t *testing.T) {
	r := startReactor(t, &idleSource{})
	s := startSecured(t, r, tcpPair(t), 0, nil)
	_, _ = s.raw.Write([]byte{22, 3, 1, 0, 100, 1})
	for began := false; !began; {
		do(t, r, func() { began = r.shakes.live > 0 })
	}
	do(t, r, s.Reset)
	s.until(t, "ended")
	awaitHandshakes(t, r)
	if len(s.result) > 0 {
		t.Errorf("told of %v", <-s.result)
	}
}

func TestManyHandshakesAtOnceAreTurnedAway(t *testing.T) {
	r := startReactor(t, &idleSource{})
	do(t, r, func() { r.shakes.live += mostHandshakes })
	s := startSecured(t, r, tcpPair(t), 0, nil)
	go func() { _ = tls.Client(s.raw, s.client).Handshake() }()
	if err := s.outcome(t); err != errHandshakes {
		t.Error(err)
	}
	do(t, r, func() { r.shakes.live -= mostHandshakes })
}

func TestBytesThatCameBeforeAreTheHandshakes(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, tcpPair(t))
	server, client := testConfigs()
	c := tls.Client(peer, client)
	shaken := make(chan error, 1)
	go func() { shaken <- c.Handshake() }()
	for received := 0; received == 0; {
		k.until(t, "input")
		do(t, r, func() { received = len(k.got) })
	}
	result := make(chan error, 1)
	do(t, r, func() {
		received := k.got
		k.got = nil
		k.Secure(server, received, 0, func(err error) { result <- err })
	})
	if err := errors.Join(<-shaken, <-result); err != nil {
		t.Fatal(err)
	}
}

func TestPlainTakesTLSOff(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, tcpPair(t))
	server, _ := testConfigs()
	do(t, r, func() {
		k.Secure(server, nil, 0, func(error) {
			k.Plain()
			k.Send([]byte("say it in TLS"), nil, "")
			k.Shut(true)
		})
	})
	_, _ = peer.Write([]byte("hello, who is there?"))
	if got := readAll(t, peer); string(got) != "say it in TLS" {
		t.Errorf("%q", got)
	}
}

func TestAFileGoesOutInTLS(t *testing.T) {
	r := startReactor(t, &idleSource{})
	fds := tcpPair(t)
	_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	s := startSecured(t, r, fds, 0, nil)
	c := s.shakeHands(t, s.raw)
	content := make([]byte, 3_000_000)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	do(t, r, func() {
		s.SendFile([]byte("head"), exchange.File{Descriptor: fd, Count: -1}, int64(len(content)), "tail")
		s.Shut(false)
	})
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, append(append([]byte("head"), content...), "tail"...)) {
		t.Errorf("%d bytes arrived, or others: %v", len(got), err)
	}
}

func TestOneSideMayFinishBeforeTheOther(t *testing.T) {
	r := startReactor(t, &idleSource{})
	s := startSecured(t, r, tcpPair(t), 0, nil)
	c := s.shakeHands(t, s.raw)
	do(t, r, func() { s.Send([]byte("all I say"), nil, ""); s.Finish() })
	if got, err := io.ReadAll(c); err != nil || string(got) != "all I say" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := c.Write([]byte("and I")); err != nil {
		t.Fatal(err)
	}
	for got := ""; got != "and I"; {
		s.until(t, "input")
		do(t, r, func() { got = string(s.got) })
	}
	do(t, r, func() {
		if s.Closed() {
			t.Error("closed")
		}
	})
}

func TestAResetIsNoGoodEnd(t *testing.T) {
	r := startReactor(t, &idleSource{})
	s := startSecured(t, r, tcpPair(t), 0, nil)
	c := s.shakeHands(t, s.raw)
	do(t, r, func() { s.Send([]byte("half a mes"), nil, ""); s.Reset() })
	if _, err := io.ReadAll(c); err == nil {
		t.Error("the client took it for the end")
	}
}

func TestHandshakesSideBySide(t *testing.T) {
	r := startReactor(t, &idleSource{})
	var all sync.WaitGroup
	for range 50 {
		s := startSecured(t, r, tcpPair(t), 0, nil)
		all.Go(func() {
			c := tls.Client(s.raw, s.client)
			if err := c.HandshakeContext(context.Background()); err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
			s.until(t, "ended")
		})
		do(t, r, func() { s.halves = false })
	}
	all.Wait()
	awaitHandshakes(t, r)
}
