package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/websocket"
	"github.com/awaitd/awaitd/internal/wscases"
)

const limit = 1 << 20 // of a message

// serve is an echo server on the engine; wrong may spoil what it sends. It ends with the test.
func serve(t *testing.T, wrong func([]byte) []byte) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				converse(conn, wrong)
			}()
		}
	}()
	return l.Addr().String()
}

// converse does the handshake, then echoes.
func converse(conn net.Conn, wrong func([]byte) []byte) {
	in := bufio.NewReader(conn)
	head, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	req := &exchange.Request{Version: exchange.HTTP11, End: true}
	add := func(s string) exchange.Span {
		start := len(req.Buf)
		req.Buf = append(req.Buf, s...)
		return exchange.Span{Start: uint32(start), End: uint32(len(req.Buf))}
	}
	req.Method = add(head.Method)
	for name, values := range head.Header {
		for _, v := range values {
			req.Fields = append(req.Fields, exchange.Field{Name: add(name), Value: add(v)})
		}
	}
	e := websocket.NewEngine(websocket.Settings{MaxSize: limit, Deflate: true, Takeover: true})
	var o websocket.Offer
	if r := e.Check(req, &o); r != nil {
		status := map[int]string{400: "400 Bad Request", 426: "426 Upgrade Required"}[r.Status]
		_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\n"+r.Lines+"content-length: 0\r\n\r\n")
		return
	}
	answer, _ := o.AppendLines([]byte("HTTP/1.1 101 Switching Protocols\r\n"), &exchange.Acceptance{})
	if _, err := conn.Write(append(answer, "\r\n"...)); err == nil {
		echo(conn, in, e, o.Deflate, wrong)
	}
}

// echo sends each message back, until the client is gone or has to be.
func echo(conn net.Conn, in io.Reader, e *websocket.Engine, d websocket.Deflate, wrong func([]byte) []byte) {
	var r websocket.Reader
	var w websocket.Writer
	r.Reset(e, d)
	w.Reset(e, d)
	var rest, out []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		rest = append(rest, buf[:n]...)
		var over bool
		rest, out, over = turn(&r, &w, rest, out[:0])
		if _, err := conn.Write(wrong(out)); err != nil {
			return
		}
		if over {
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, in) // else what is unread would reset the connection before the close is seen
			return
		}
	}
}

// turn answers what has come.
func turn(r *websocket.Reader, w *websocket.Writer, in, out []byte) (rest, answer []byte, over bool) {
	for {
		n, ev, v := r.Next(in, 64<<10)
		in = in[n:]
		switch {
		case v != nil:
			return nil, websocket.AppendClose(out, v.Code, []byte(v.Reason)), true
		case ev.Kind == websocket.Starved:
			return in, out, false
		case ev.Kind == websocket.Part:
			out = w.Append(out, ev.Payload, ev.Message, ev.More)
		case ev.Kind == websocket.Ping:
			out = websocket.AppendPong(out, ev.Payload)
		case ev.Kind == websocket.Closed:
			return nil, websocket.AppendClose(out, ev.Code, nil), true
		}
	}
}

func right(b []byte) []byte { return b }

// table is all cases, for a limit that is small: what sends much is the engine's own test, in memory.
func table(t *testing.T) []*wscases.Case {
	t.Helper()
	cases, err := wscases.All(limit)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCasesPassOverTCP(t *testing.T) {
	var out strings.Builder
	p := plan{addr: serve(t, right), path: "/", limit: limit, most: limit, parallel: 4, timeout: time.Minute}
	if p.all(table(t), &out) > 0 {
		t.Error(out.String())
	}
	t.Log("\n" + out.String())
}

// flip spoils bits of the first byte of every write: mostly a frame's.
func flip(at int, bits byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if len(b) > at {
			b[at] ^= bits
		}
		return b
	}
}

func TestWhatTheServerDoesWrongIsSeen(t *testing.T) {
	cases := table(t)
	for name, c := range map[string]struct {
		run   string
		wrong func([]byte) []byte
	}{
		"nothing comes back":     {"1.1.2", func([]byte) []byte { return nil }},
		"a reserved bit":         {"1.1.2", flip(0, 0x10)},
		"compressed, not agreed": {"1.1.2", flip(0, 0x40)},
		"masked":                 {"1.1.2", flip(1, 0x80)},
		"another opcode":         {"1.1.2", flip(0, 0x03)},
		"no FIN":                 {"1.1.2", flip(0, 0x80)},
		"an unknown opcode":      {"1.1.2", flip(0, 0x0f)},
		"another byte":           {"1.1.2", flip(2, 0x01)},
		"another pong":           {"2.2", flip(4, 0x01)},
		"another close code":     {"7.7.1", flip(3, 0x01)},
		"text that is none":      {"1.1.3", flip(9, 0xff)},
		"wrong deflate":          {"12.1.4", flip(5, 0xff)},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			p := plan{addr: serve(t, c.wrong), path: "/", run: c.run, limit: limit, most: limit, parallel: 1, timeout: time.Second}
			if p.all(cases, &out) == 0 {
				t.Errorf("not seen: %s", out.String())
			}
		})
	}
}

func TestFlags(t *testing.T) {
	p, err := parseFlags([]string{"-addr", "a:1", "-run", "5.", "-path", "/echo"}, io.Discard)
	if err != nil || p.addr != "a:1" || p.run != "5." || p.path != "/echo" || p.limit != 16<<20 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := parseFlags(nil, io.Discard); err == nil {
		t.Error("no address is needed")
	}
}
