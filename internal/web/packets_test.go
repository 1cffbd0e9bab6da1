package web

import (
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/cgi"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// startPackets serves web servers that pack their requests.
func startPackets(t *testing.T, proto cgi.Protocol, settings ...func(*Config)) *site {
	t.Helper()
	s := startSite(t, settings...)
	socket, err := listen.TCP("127.0.0.1", 0, 128)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(socket.Close)
	s.addr = socket.Address.String()
	s.do(func() {
		if _, err := s.web.Serve(Door{FD: socket.FD, Server: socket.Server(), Packets: proto}); err != nil {
			t.Error(err)
		}
	})
	return s
}

// pack is a request with variables given as "NAME=value".
func pack(proto cgi.Protocol, variables ...string) string {
	var rows []byte
	for _, v := range append([]string{"CONTENT_LENGTH=", "SCGI=1", "REQUEST_METHOD=GET", "PATH_INFO=/path", "SERVER_PROTOCOL=HTTP/2.0"}, variables...) {
		name, value, _ := strings.Cut(v, "=")
		if proto == cgi.SCGI {
			rows = append(rows, name+"\x00"+value+"\x00"...)
			continue
		}
		rows = append(binary.LittleEndian.AppendUint16(rows, uint16(len(name))), name...)
		rows = append(binary.LittleEndian.AppendUint16(rows, uint16(len(value))), value...)
	}
	if proto == cgi.SCGI {
		return strconv.Itoa(len(rows)) + ":" + string(rows) + ","
	}
	return string([]byte{0, byte(len(rows)), byte(len(rows) >> 8), 0}) + string(rows)
}

func wordy(c *Config) {
	c.Date, c.Server, c.Extra = true, []byte("server: s\r\n"), []byte("x-extra: e\r\n")
}

func TestAWebServersRequestIsAnsweredOnce(t *testing.T) {
	// spec: protocols 10
	for proto, first := range map[cgi.Protocol]string{cgi.UWSGI: "HTTP/1.1 200 OK\r\n", cgi.SCGI: "status: 200 OK\r\n"} {
		for name, c := range map[string]struct {
			answer func(*fakeExchange)
			want   string
		}{
			"whole": {
				func(x *fakeExchange) { x.respond(200, "hello", true, "x-a: b") },
				"x-a: b\r\ncontent-length: 5\r\nx-extra: e\r\n\r\nhello",
			},
			"in parts, without a chunk": {
				func(x *fakeExchange) {
					x.r.Inform(response(103, "link: a"))
					x.respond(200, "hel", false)
					x.r.Data([]byte("lo"), true)
				}, "x-extra: e\r\n\r\nhello",
			},
			"trailers are dropped": {
				func(x *fakeExchange) {
					r := response(200)
					r.Body, r.Trailers = []byte("hello"), true
					x.r.Respond(r)
					x.r.Trailers(nil, nil)
				}, "x-extra: e\r\n\r\nhello",
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := startPackets(t, proto, wordy)
				conn := s.dial()
				raw := pack(proto)
				conn.write(raw[:3])
				settle(t, s.r)
				conn.write(raw[3:])
				x := s.next()
				if x.method != "GET" || x.path != "/path" || !x.end {
					t.Fatalf("%+v", x)
				}
				s.do(func() { c.answer(x) })
				conn.want(first + c.want)
				conn.wantEnd()
			})
		}
	}
}

func TestTheBodyOfAWebServersRequest(t *testing.T) {
	// spec: protocols 10
	s := startPackets(t, cgi.UWSGI)
	c := s.dial()
	c.write(pack(cgi.UWSGI, "REQUEST_METHOD=POST", "CONTENT_LENGTH=10") + "01234")
	x := s.next()
	if string(x.body) != "01234" || x.end || x.continues {
		t.Fatalf("%+v", x)
	}
	s.do(func() { x.give(3) })
	c.write("56789 and what is no part of it")
	settle(t, s.r)
	s.do(func() {
		if string(x.body) != "01234567" || x.end {
			t.Errorf("%q, %v", x.body, x.end)
		}
		x.give(100)
		if string(x.body) != "0123456789" || !x.end || x.over > 0 {
			t.Errorf("%q, %v", x.body, x.end)
		}
		x.respond(200, "", true)
	})
	c.want("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
	c.wantEnd()
}

func TestABadPacketIsNotAnswered(t *testing.T) {
	// spec: protocols 10
	for proto, packets := range map[cgi.Protocol][]string{
		cgi.UWSGI: {"\x05\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n", "\x00\x04\x00\x00\xff\xffab"},
		cgi.SCGI:  {"GET / HTTP/1.1\r\n\r\n", "2:ab,", "1:\x00,"},
	} {
		for _, raw := range packets {
			s := startPackets(t, proto)
			c := s.dial()
			c.write(raw)
			c.wantEnd()
			if n := strings.Count(s.log.String(), "refused: malformed request"); n != 1 {
				t.Errorf("%q: %d lines", raw, n)
			}
			if s.live() != 0 {
				t.Errorf("%q: the connection lives", raw)
			}
		}
	}
}

func TestABadRequestInAPacketIsAnswered(t *testing.T) {
	// spec: protocols 10
	for _, c := range []struct {
		raw, first string
		kind       telemetry.Refusal
		proto      cgi.Protocol
	}{
		{pack(cgi.UWSGI, "HTTP_A=\r\n"), "HTTP/1.1 400 Bad Request\r\n", telemetry.Malformed, cgi.UWSGI},
		{"\x00\xff\xff\x00", "HTTP/1.1 431 Request Header Fields Too Large\r\n", telemetry.HeadTooLarge, cgi.UWSGI},
		{"99999:", "status: 431 Request Header Fields Too Large\r\n", telemetry.HeadTooLarge, cgi.SCGI},
		{pack(cgi.SCGI, "CONTENT_LENGTH=99"), "status: 413 Content Too Large\r\n", telemetry.BodyTooLarge, cgi.SCGI},
	} {
		s := startPackets(t, c.proto, wordy, func(c *Config) { c.BodyLimit = 98 })
		conn := s.dial()
		conn.write(c.raw)
		answer, err := io.ReadAll(conn.r)
		if err != nil || !strings.HasPrefix(string(answer), c.first) || strings.Contains(string(answer), "date:") || strings.Contains(string(answer), "server:") {
			t.Errorf("%.30q: %q, %v", c.raw, answer, err)
		}
		if n := s.web.cfg.Refusals.Count(c.kind); n != 1 {
			t.Errorf("%.30q: %d of %s", c.raw, n, c.kind)
		}
	}
}

func TestASlowPacketIsRefusedAndASilentConnectionClosed(t *testing.T) {
	// spec: protocols 10
	s := startPackets(t, cgi.UWSGI, func(c *Config) { c.HeaderTimeout = 2 * reactor.Tick })
	s.dial().wantEnd()
	c := s.dial()
	c.write(pack(cgi.UWSGI)[:20])
	if answer, err := io.ReadAll(c.r); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("%q, %v", answer, err)
	}
	if n := s.web.cfg.Refusals.Count(telemetry.HeaderTimeout); n != 1 {
		t.Errorf("%d counted", n)
	}
}

func TestAWebServerThatLeavesCancels(t *testing.T) {
	// spec: protocols 10
	s := startPackets(t, cgi.UWSGI)
	for _, begun := range []bool{false, true} {
		c := s.dial()
		c.write(pack(cgi.UWSGI, "REQUEST_METHOD=POST", "CONTENT_LENGTH=10") + "01234")
		x := s.next()
		if begun {
			s.do(func() { x.respond(200, "first", false) })
			c.want("HTTP/1.1 200 OK\r\n\r\nfirst")
		} else {
			s.do(func() { x.give(100) })
		}
		_ = c.Close()
		if await(t, s.app.cancelled, "the cancellation") != x || x.cancels != 1 {
			t.Fatalf("%d cancellations", x.cancels)
		}
	}
}

func TestAnAnswerThatIsCutOffDoesNotLookWhole(t *testing.T) {
	// spec: protocols 10
	s := startPackets(t, cgi.UWSGI)
	c := s.dial()
	c.write(pack(cgi.UWSGI))
	x := s.next()
	s.do(func() { x.respond(200, "first", false) })
	c.want("HTTP/1.1 200 OK\r\n\r\nfirst")
	s.do(func() { x.r.Fail(exchange.WorkerDied) })
	if rest, err := io.ReadAll(c.r); err == nil {
		t.Fatalf("%q, and an end", rest)
	}
}

func TestTheAccessLogNamesTheWebServersClient(t *testing.T) {
	// spec: protocols 10
	var lines lockedBuffer
	access := telemetry.NewAccessLog(&lines)
	s := startPackets(t, cgi.UWSGI, func(c *Config) { c.Access = access })
	c := s.dial()
	c.write(pack(cgi.UWSGI, "REMOTE_ADDR=192.0.2.7", "REMOTE_PORT=4711", "QUERY_STRING=q", "HTTP_X_FORWARDED_FOR=203.0.113.1"))
	x := s.next()
	s.do(func() { x.respond(204, "", true) })
	c.want("HTTP/1.1 204 No Content\r\n\r\n")
	c.wantEnd()
	access.Close()
	if want := ` 192.0.2.7:4711 "GET /path?q HTTP/2.0" 204 0 `; !strings.Contains(lines.String(), want) {
		t.Errorf("%q", lines.String())
	}
	if strings.Contains(s.log.String(), "forwarded-allow-ips") {
		t.Error("a hint about header fields that nobody needs here")
	}
}

func TestDrainLetsAWebServersRequestEnd(t *testing.T) {
	// spec: protocols 10
	s := startPackets(t, cgi.UWSGI)
	idle, busy := s.dial(), s.dial()
	busy.write(pack(cgi.UWSGI))
	x := s.next()
	done := make(chan struct{})
	s.do(func() { s.web.Drain(func() { close(done) }) })
	idle.wantEnd()
	s.do(func() { x.respond(200, "hello", true) })
	busy.want("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
	busy.wantEnd()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("never idle")
	}
}

// A web server that can't send all of a body says 502, whatever the answer was.
func TestAnAnswerOutlivesABodyThatNobodyReads(t *testing.T) {
	// spec: protocols 10
	const size, turn = 64 << 20, 1 << 20 // turn: the most that is dropped in one
	s := startPackets(t, cgi.UWSGI)
	c := s.dial()
	c.write(pack(cgi.UWSGI, "REQUEST_METHOD=POST", "CONTENT_LENGTH="+strconv.Itoa(size)))
	x := s.next()
	sent, body := 0, make([]byte, size)
	s.do(func() { // meanwhile the kernel's buffers fill: there is more than a turn drops
		_ = c.SetWriteDeadline(time.Now().Add(reactor.Tick))
		sent, _ = c.Write(body)
		x.respond(200, "no, thanks", true)
	})
	if sent <= turn {
		t.Skipf("the kernel holds %d bytes only", sent)
	}
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	if n, err := c.Write(body[sent:]); err != nil {
		t.Fatalf("%d of %d bytes, then %v", sent+n, size, err)
	}
	c.want("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nno, thanks")
	c.wantEnd()
}
