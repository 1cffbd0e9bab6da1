package web

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// spec: http 4
func TestPipelinedRequestsAreAnsweredInOrderOneAtATime(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	c.write("GET /0 HTTP/1.1\r\nHost: h\r\n\r\nPOST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
	for i := range 3 {
		x := s.next()
		if want := fmt.Sprint("/", i); x.path != want {
			t.Fatalf("%s came instead of %s", x.path, want)
		}
		settle(t, s.r)
		if len(s.app.opened) != 0 {
			t.Fatal("a request was dispatched before the one in front of it was done")
		}
		s.do(func() { x.respond(200, "answer "+x.path, true) })
		if _, body := c.read("GET"); body != "answer "+x.path {
			t.Fatalf("%q for %s", body, x.path)
		}
	}
}

func TestAConnectionIsUsedAgainAndAgain(t *testing.T) {
	for _, c := range []struct {
		name, head string
		keeps      bool
	}{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
		{"HTTP/1.1 with Connection: close", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", false},
		{"HTTP/1.0 with Connection: keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t)
			conn := s.dial()
			for range 3 {
				conn.write(c.head)
				x := s.next()
				s.do(func() { x.respond(200, "ok", true) })
				if _, body := conn.read("GET"); body != "ok" {
					t.Fatalf("%q", body)
				}
				if !c.keeps {
					conn.wantEnd()
					return
				}
			}
		})
	}
}

func TestResponsesAreFramed(t *testing.T) {
	const get, old = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"
	for _, c := range []struct {
		name, request string
		app           func(*fakeExchange)
		want          string
		ends          bool
	}{
		{
			"a whole body gets its length", get, func(x *fakeExchange) { x.respond(200, "hello", true) },
			"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false,
		},
		{"a body in parts is chunked", get, func(x *fakeExchange) {
			x.respond(200, "", false)
			x.r.Data([]byte("abc"), false)
			x.r.Data(nil, false)
			x.r.Data([]byte("de"), true)
		}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false},
		{"a body in parts ends with the connection on HTTP/1.0", old, func(x *fakeExchange) {
			x.respond(200, "ab", false)
			x.r.Data([]byte("c"), true)
		}, "HTTP/1.1 200 OK\r\n\r\nabc", true},
		{"HEAD has no body and keeps the length", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", func(x *fakeExchange) {
			x.respond(200, "12345", true, "content-length: 5")
		}, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", false},
		{"204 has no body", get, func(x *fakeExchange) { x.respond(204, "no", true) }, "HTTP/1.1 204 No Content\r\n\r\n", false},
		{"what exceeds the length does not go out", get, func(x *fakeExchange) {
			x.respond(200, "abcdef", true, "content-length: 3")
		}, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", false},
		{"a body that falls short ends the connection", get, func(x *fakeExchange) {
			x.respond(200, "ab", true, "content-length: 3")
		}, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", true},
		{"trailers follow the last chunk", get, func(x *fakeExchange) {
			r := response(200)
			r.Trailers = true
			x.r.Respond(r)
			x.r.Data([]byte("a"), false)
			tr := response(0, "x-sum: 1")
			x.r.Trailers(tr.Buf, tr.Fields)
		}, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n", false},
		{"an interim response precedes the final one", get, func(x *fakeExchange) {
			x.r.Inform(response(103, "link: </a>"))
			x.respond(200, "", true)
		}, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false},
		{"an old client gets no interim response", old, func(x *fakeExchange) {
			x.r.Inform(response(103, "link: </a>"))
			x.respond(200, "", true)
		}, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true},
		{
			"the application may close", get, func(x *fakeExchange) { x.respond(200, "", true, "connection: close") },
			"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSite(t)
			conn := s.dial()
			conn.write(c.request)
			x := s.next()
			s.do(func() { c.app(x) })
			conn.want(c.want)
			if c.ends {
				conn.wantEnd()
				return
			}
			conn.get("/again")
			if again := s.next(); again.path != "/again" {
				t.Fatalf("%s after it", again.path)
			}
		})
	}
}

func TestALargeResponseIsWholeAndGrantedAsItLeaves(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	c.get("/")
	x := s.next()
	part := strings.Repeat("0123456789abcdef", 4<<10) // 64 KiB
	const parts = 200
	s.do(func() { x.respond(200, "", false, fmt.Sprint("content-length: ", parts*len(part))) })
	sent, unread := 1, 0
	s.do(func() { x.r.Data([]byte(part), false) })
	for granted := 0; ; { // as the pool does: one window at a time
		s.do(func() { granted = x.granted })
		if granted < sent*len(part) {
			if unread++; unread > 3 {
				break // nobody reads, so nothing more is granted
			}
			continue
		}
		if sent++; sent > parts/2 {
			t.Fatal("half of it was granted although the client reads nothing")
		}
		s.do(func() { x.r.Data([]byte(part), false) })
	}
	go func() { // ends with the response
		for ; sent < parts; sent++ {
			last := sent == parts-1
			for granted := 0; granted < sent*len(part); {
				s.do(func() { granted = x.granted })
			}
			s.do(func() { x.r.Data([]byte(part), last) })
		}
	}()
	if _, body := c.read("GET"); body != strings.Repeat(part, parts) {
		t.Fatalf("%d bytes, or not the same", len(body))
	}
}

func TestABodyIsReadOnlyAsFarAsTheApplicationGaveCredit(t *testing.T) {
	const size = 8 << 20
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 31)
	}
	for _, framing := range []string{"content-length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			s := startSite(t)
			c := s.dial()
			sent := make(chan struct{})
			go func() { // ends when the server has read it all, or the connection is closed
				defer close(sent)
				if framing == "chunked" {
					c.sendChunked(body)
					return
				}
				_, _ = fmt.Fprintf(c.TCPConn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
				_, _ = c.Write(body)
			}()
			x := s.next()
			settle(t, s.r)
			inline := 0
			s.do(func() {
				inline = len(x.body)
				if inline > maxInline {
					t.Errorf("%d bytes came without credit", inline)
				}
			})
			for given := 0; ; {
				done := false
				s.do(func() {
					if x.over > 0 || len(x.body) > inline+given {
						t.Errorf("%d bytes for a credit of %d", len(x.body)-inline, given)
						done = true
						return
					}
					n := 1 + rand.IntN(200_000)
					given += n
					x.give(n)
					done = done || x.end
					if c, ok := x.r.(*httpExchange); ok && c.c != nil && len(c.c.in) > reactor.ReadSize+maxInline {
						t.Errorf("%d bytes are held for the application", len(c.c.in))
					}
				})
				if done {
					break
				}
			}
			s.do(func() {
				if string(x.body) != string(body) || x.ends > 1 {
					t.Errorf("%d bytes of %d, or not the same; %d ends", len(x.body), size, x.ends)
				}
				x.respond(200, "done", true)
			})
			await(t, sent, "the client to send it all")
			if _, text := c.read("POST"); text != "done" {
				t.Fatalf("%q", text)
			}
			c.get("/next")
			s.next()
		})
	}
}

func (c *client) sendChunked(body []byte) {
	_, _ = io.WriteString(c.TCPConn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := min(len(body), 1+rand.IntN(70_000))
		_, _ = fmt.Fprintf(c.TCPConn, "%x;ext=1\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	_, _ = io.WriteString(c.TCPConn, "0\r\nx-trailer: 1\r\n\r\n")
}

func TestABodyThatTheApplicationTookInPartFollowsWithItsCredit(t *testing.T) {
	s := startSite(t)
	s.do(func() { s.app.take = 2 })
	c := s.dial()
	c.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabcdef")
	x := s.next()
	for _, step := range []struct {
		credit int
		want   string
		end    bool
	}{{0, "ab", false}, {3, "abcde", false}, {9, "abcdef", true}} {
		s.do(func() {
			if step.credit > 0 {
				x.give(step.credit)
			}
			if string(x.body) != step.want || x.end != step.end {
				t.Errorf("after %d: %q, end %v", step.credit, x.body, x.end)
			}
		})
	}
}

// spec: http 5
func TestTheClientHears100WhenTheApplicationAsksForTheBody(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	t.Run("it asks", func(t *testing.T) {
		s := startSite(t)
		c := s.dial()
		c.write(head)
		x := s.next()
		if !x.continues {
			t.Fatal("the application was not told")
		}
		s.do(func() { x.give(100); x.give(100) })
		c.want("HTTP/1.1 100 Continue\r\n\r\n")
		c.write("hello")
		for end := false; !end; {
			s.do(func() { end = x.end })
		}
		s.do(func() { x.respond(200, string(x.body), true) })
		c.want("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
		c.get("/")
		s.next()
	})
	t.Run("it answers without asking, and the connection closes", func(t *testing.T) {
		s := startSite(t)
		c := s.dial()
		c.write(head)
		x := s.next()
		s.do(func() { x.respond(403, "", true) })
		c.want("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
		c.wantEnd()
	})
	t.Run("the client did not wait, and gets none", func(t *testing.T) {
		s := startSite(t)
		c := s.dial()
		c.write(head + "hello")
		x := s.next()
		s.do(func() { x.give(100); x.respond(200, "", true) })
		c.want("HTTP/1.1 200 OK\r\n")
	})
}

// spec: http 8
func TestAnApplicationsRefusalHasNoFieldsButItsOwn(t *testing.T) {
	s := startSite(t)
	c := s.dial()
	c.get("/")
	x := s.next()
	s.do(func() { x.respond(503, "later", true) })
	if r, _ := c.read("GET"); r.StatusCode != 503 || r.Header.Get("Retry-After") != "" {
		t.Error(r.Status, r.Header)
	}
}

func TestFailuresAreAnsweredWithTheirStatus(t *testing.T) {
	for reason, status := range map[exchange.Reason]int{
		exchange.AppError: 500, exchange.TooLarge: 500, exchange.WorkerDied: 502, exchange.Overloaded: 503,
		exchange.QueueWait: 503, exchange.Stopping: 503, exchange.Deadline: 504, exchange.HeadTooLarge: 431,
	} {
		t.Run(reason.String(), func(t *testing.T) {
			for _, refused := range []bool{false, true} {
				s := startSite(t)
				if refused {
					s.do(func() { s.app.refuse = reason })
				}
				c := s.dial()
				c.get("/")
				if !refused {
					x := s.next()
					s.do(func() { x.r.Fail(reason) })
				}
				r, body := c.read("GET")
				if r.StatusCode != status || !strings.Contains(body, "error id: ") {
					t.Fatalf("%d %q", r.StatusCode, body)
				}
				if has := r.Header.Get("Retry-After") != ""; has != (status == 503) {
					t.Fatalf("Retry-After: %v", has)
				}
				id := strings.TrimSpace(body[strings.Index(body, "error id: ")+10:])
				if !strings.Contains(s.log.String(), id) {
					t.Fatal("the id is not in the log")
				}
				s.do(func() { s.app.refuse = exchange.None })
				c.get("/after")
				s.next()
			}
		})
	}
}

func TestAFailureInTheMiddleOfAResponseCutsItOff(t *testing.T) {
	for _, version := range []string{"1.0", "1.1", "1.1\r\nConnection: close"} {
		s := startSite(t)
		c := s.dial()
		c.write("GET / HTTP/" + version + "\r\nHost: h\r\n\r\n")
		x := s.next()
		s.do(func() {
			x.respond(200, "begin", false)
			x.r.Fail(exchange.AppError)
		})
		all, err := io.ReadAll(c.r)
		if version == "1.0" && err == nil {
			t.Fatalf("%q: the end looks like the end of the body", all)
		}
		if version != "1.0" && (err != nil || !strings.HasSuffix(string(all), "5\r\nbegin\r\n")) {
			t.Fatalf("%q, %v: what had been sent is lost", all, err)
		}
		if strings.Contains(string(all), "0\r\n\r\n") {
			t.Fatalf("%q: a last chunk", all)
		}
	}
}

func TestEveryExchangeIsInTheAccessLogOnce(t *testing.T) {
	out := &lockedBuffer{}
	access := telemetry.NewAccessLog(out)
	s := startSite(t, func(c *Config) { c.Access = access })
	c := s.dial()
	c.get("/a?b=1")
	x := s.next()
	s.do(func() { x.respond(201, "four", true) })
	c.read("GET")
	c.get("/gone")
	s.next()
	_ = c.Close()
	await(t, s.app.cancelled, "the cancellation")
	settle(t, s.r)
	access.Close()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"GET /a?b=1 HTTP/1.1" 201 4 `) || !strings.HasSuffix(lines[0], " worker-7") ||
		!strings.Contains(lines[1], `"GET /gone HTTP/1.1" 499 0 `) {
		t.Fatalf("%q", lines)
	}
}
