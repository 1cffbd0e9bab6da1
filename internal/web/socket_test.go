package web

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

const (
	handshake = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n" +
		"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	unmasked  = "\x00\x00\x00\x00" // a client's mask that changes nothing
	restarted = "\x88\x11\x03\xf4service restart"
	ping      = "\x89\x00"
	pong      = "\x8a\x80" + unmasked
)

// socketSite is a site that takes WebSockets.
func socketSite(t *testing.T, interval, timeout time.Duration) *site {
	s := startSite(t, func(c *Config) { c.Sockets.PingInterval, c.Sockets.PingTimeout = interval, timeout })
	s.do(func() { s.app.sockets = true })
	return s
}

// shake has a client ask for a WebSocket.
func (s *site) shake() (*client, *fakeExchange) {
	s.t.Helper()
	c := s.dial()
	c.write(handshake)
	return c, s.next()
}

// accept has the application accept it, and take n bytes of messages.
func (s *site) accept(x *fakeExchange, n int) { s.acceptAs(x, n, &exchange.Acceptance{}) }

func (s *site) acceptAs(x *fakeExchange, n int, a *exchange.Acceptance) {
	s.do(func() {
		x.socket = x.r.(exchange.Upgrader).Accept(a)
		if x.closed == 0 && n > 0 {
			x.credit = n
			x.socket.Credit(n)
		}
	})
}

func TestAWebSocketCarriesMessagesBothWays(t *testing.T) {
	s := socketSite(t, 0, 0)
	c, x := s.shake()
	c.write("\x81\x82" + unmasked + "hi")
	s.accept(x, 100)
	c.want(switching)
	s.do(func() { x.socket.Message([]byte("hello"), exchange.Text, false) })
	c.want("\x81\x05hello")
	c.write("\x88\x82" + unmasked + "\x03\xe8")
	c.want("\x88\x02\x03\xe8")
	s.do(func() {
		if x.closed != 1000 || !slices.Equal(x.messages, []string{"hi"}) {
			t.Errorf("%d, %q", x.closed, x.messages)
		}
	})
}

// spec: jobs 6
func TestAnApplicationHearsOfPings(t *testing.T) {
	s := socketSite(t, 0, 0)
	c, x := s.shake()
	s.acceptAs(x, 5, &exchange.Acceptance{Pings: true})
	c.want(switching)
	c.write("\x89\x81" + unmasked + "a" + "\x8a\x81" + unmasked + "b") // the pong answers nobody
	c.want("\x8a\x01a")
	s.do(func() { x.socket.Message([]byte("c"), exchange.Ping, false) })
	c.want("\x89\x01c")
	c.write("\x8a\x81" + unmasked + "c" + "\x8a\x81" + unmasked + "d")
	c.write("\x89\x84" + unmasked + "eeee") // more than the application takes
	c.want("\x8a\x04eeee")
	s.do(func() {
		if !slices.Equal(x.messages, []string{"a", "c"}) {
			t.Errorf("%q", x.messages)
		}
	})
}

// spec: jobs 6
func TestAnApplicationThatDoesNotAskHearsOfNoPings(t *testing.T) {
	s := socketSite(t, 0, 0)
	c, x := s.shake()
	s.accept(x, 100)
	c.want(switching)
	c.write("\x89\x81" + unmasked + "a")
	c.want("\x8a\x01a")
	s.do(func() {
		if len(x.messages) > 0 {
			t.Errorf("%q", x.messages)
		}
	})
}

func TestAWebSocketThatIsAcceptedByAServerThatStops(t *testing.T) {
	s := socketSite(t, 0, 0)
	c, x := s.shake()
	idle := make(chan struct{})
	s.do(func() { s.web.Drain(func() { close(idle) }) })
	s.accept(x, 0)
	c.want(switching + restarted)
	c.write("\x88\x82" + unmasked + "\x03\xf4")
	<-idle
	if x.closed != exchange.CloseRestarting {
		t.Errorf("the application is told %d", x.closed)
	}
}

// spec: websocket 7
func TestAStopDoesNotWaitForACloseThatDoesNotCome(t *testing.T) {
	s := socketSite(t, 0, 0)
	open, x := s.shake()
	s.accept(x, 0)
	open.want(switching)
	closed, y := s.shake()
	s.accept(y, 0)
	closed.want(switching)
	s.do(func() { y.socket.Close(exchange.CloseNormal, nil) })
	closed.want("\x88\x02\x03\xe8")
	idle := make(chan struct{})
	begun := time.Now()
	s.do(func() { s.web.Drain(func() { close(idle) }) })
	open.want(restarted)
	<-idle
	if took := time.Since(begun); took < stopTime || took > closeTime/2 {
		t.Errorf("the clients have %v", took)
	}
}

func TestAWebSocketGoesOnWhileAServerFades(t *testing.T) {
	s := socketSite(t, 0, 0)
	c, x := s.shake()
	s.accept(x, 100)
	c.want(switching)
	late, y := s.shake()
	unused := s.dial()
	idle := make(chan struct{})
	s.do(func() { s.web.Fade(0, func() { close(idle) }) })
	unused.wantEnd()
	s.accept(y, 0)
	late.want(switching)
	c.write("\x89\x80" + unmasked)
	c.want("\x8a\x00")
	s.do(s.web.Leave)
	for _, c := range []*client{c, late} {
		c.want(restarted)
		c.write("\x88\x82" + unmasked + "\x03\xf4")
	}
	<-idle
}

// spec: websocket 6
func TestAWebSocketIsPingedAtItsIntervalWhateverTheTimeForAnswers(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"longer": time.Minute, "none": 0} {
		t.Run(name, func(t *testing.T) {
			s := socketSite(t, 100*time.Millisecond, timeout)
			c, x := s.shake()
			s.accept(x, 100)
			c.want(switching)
			for range 3 {
				c.want(ping)
				c.write(pong)
			}
		})
	}
}

// spec: websocket 11
func TestABroadcastIsFramedForEachClientsTerms(t *testing.T) {
	s := startSite(t, func(c *Config) { c.Sockets.Deflate = true })
	s.do(func() { s.app.sockets = true })
	var clients []*client
	var sockets []exchange.Socket
	for _, offer := range []string{"", "", "permessage-deflate", "permessage-deflate"} {
		c := s.dial()
		line := ""
		if offer != "" {
			line = "Sec-WebSocket-Extensions: " + offer + "\r\n"
		}
		c.write(strings.Replace(handshake, "\r\n\r\n", "\r\n"+line+"\r\n", 1))
		x := s.next()
		s.accept(x, 0)
		if r, err := http.ReadResponse(c.r, nil); err != nil || r.StatusCode != 101 {
			t.Fatal(r, err)
		}
		clients, sockets = append(clients, c), append(sockets, x.socket)
	}
	one, two := strings.Repeat("a", 1000), strings.Repeat("b", 1000)
	s.do(func() { // two at once, as from two workers
		a := exchange.Broadcast{Payload: []byte(one), Kind: exchange.Text, ID: 1}
		b := exchange.Broadcast{Payload: []byte(two), Kind: exchange.Text, ID: 2}
		for _, k := range sockets {
			k.Broadcast(&a)
			k.Broadcast(&b)
		}
	})
	for i, c := range clients {
		for _, want := range []string{one, two} {
			if got, packed := c.message(); got != want || packed != (i >= 2) {
				t.Errorf("client %d: %.20q, compressed: %v", i, got, packed)
			}
		}
	}
}

// message reads a short message in one frame, and undoes its compression.
func (c *client) message() (text string, packed bool) {
	c.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		c.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		_, _ = io.ReadFull(c.r, long[:])
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	if head[0] != 0xC1 {
		return string(b), false
	}
	b, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b), true
}
