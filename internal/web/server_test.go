package web

import (
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/reactor"
)

// echo goes on with a connection in place of HTTP/1.1.
type echo struct {
	*httpConn
	busy bool
	left int
}

func (e *echo) Input() {
	for e.Readable() && !e.Closed() && !e.Closing() {
		e.Send(e.Receive(reactor.ReadSize), nil, "")
	}
}
func (e *echo) Drained()     {}
func (e *echo) Lost()        {}
func (e *echo) Hangup() bool { return false }
func (e *echo) Expire()      { e.Lose() }
func (e *echo) Leave() {
	if e.left++; !e.busy {
		e.Send(nil, nil, "bye")
		e.Shut(false)
	}
}

// replace has an echo go on with the connection of an exchange.
func (s *site) replace(x *fakeExchange) *echo {
	e := &echo{}
	s.do(func() {
		hx := x.r.(*httpExchange)
		e.httpConn = hx.c
		hx.abandonStream()
		e.release()
		e.Speak(e)
	})
	return e
}

func TestAConnectionIsTheServersWhateverIsSpokenOnIt(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *site, e *echo, c *client)
	}{
		{"it closes when the server drains", func(s *site, e *echo, c *client) {
			drained := make(chan struct{})
			s.do(func() { s.web.Drain(func() { close(drained) }) })
			c.want("bye")
			c.wantEnd()
			await(s.t, drained, "the end of the drain")
		}},
		{"a drain waits for what is under way", func(s *site, e *echo, c *client) {
			drained := make(chan struct{})
			s.do(func() { e.busy = true; s.web.Drain(func() { close(drained) }) })
			c.write("more")
			c.want("more")
			s.do(func() {
				if e.left != 1 || len(drained) != 0 {
					s.t.Errorf("told %d times", e.left)
				}
				e.busy = false
				e.Leave()
			})
			c.want("bye")
			await(s.t, drained, "the end of the drain")
		}},
		{"a server that fades leaves it a while", func(s *site, e *echo, c *client) {
			faded := make(chan struct{})
			s.do(func() { s.web.Fade(time.Millisecond, func() { close(faded) }) })
			c.want("bye")
			await(s.t, faded, "the end of the fading")
		}},
		{"it is aborted with the others", func(s *site, e *echo, c *client) {
			s.do(s.web.Abort)
			c.wantEnd()
		}},
		{"its time is over", func(s *site, e *echo, c *client) {
			s.do(func() { e.SetTimer(time.Millisecond) })
			c.wantEnd()
		}},
		{"the client leaves", func(s *site, e *echo, c *client) { _ = c.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t)
			s.dial().get("/") // another, with a request under way
			other := s.next()
			conn := s.dial()
			conn.get("/")
			e := s.replace(s.next())
			conn.write("hello")
			conn.want("hello")
			s.do(func() { other.respond(200, "", true) })
			if n := s.live(); n != 2 {
				t.Fatalf("%d connections are counted", n)
			}
			s.do(func() { // the other one closes after its answer, so that only this one is waited for
				s.r.Each(func(p reactor.Protocol) {
					if p != reactor.Protocol(e) {
						p.(reactor.Connection).Abort()
					}
				})
			})
			c.end(s, e, conn)
			for s.live() > 0 {
				settle(t, s.r)
			}
		})
	}
}

func TestAServerLeavesConnectionsOfOthersOnItsReactorAlone(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	c.get("/")
	x := s.next()
	other := New(s.r, s.web.cfg, s.app)
	s.do(other.Abort)
	s.do(func() { x.respond(200, "ok", true) })
	if _, body := c.read("GET"); body != "ok" {
		t.Fatal(body)
	}
}
