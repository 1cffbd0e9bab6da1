package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wscases"
)

// request is a head as a protocol would hand it over.
func request(method string, version exchange.Version, fields ...string) *exchange.Request {
	req := &exchange.Request{Version: version, End: true}
	add := func(s string) exchange.Span {
		start := len(req.Buf)
		req.Buf = append(req.Buf, s...)
		return exchange.Span{Start: uint32(start), End: uint32(len(req.Buf))}
	}
	req.Method = add(method)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Fields = append(req.Fields, exchange.Field{Name: add(name), Value: add(value)})
	}
	return req
}

// memory is a server that echoes, without a network.
type memory struct {
	engine *Engine
	piece  int // bytes that it gets at once; 0: as they are written
	credit int
	head   []byte
	in     []byte
	echo   *echo
	out    bytes.Buffer
	over   bool
}

// Write feeds the server.
func (m *memory) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := len(rest)
		if m.piece > 0 {
			n = min(n, m.piece)
		}
		m.feed(rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}

func (m *memory) feed(b []byte) {
	if m.over {
		return
	}
	if m.echo == nil {
		m.head = append(m.head, b...)
		if bytes.HasSuffix(m.head, []byte("\r\n\r\n")) {
			m.shake()
		}
		return
	}
	m.in, m.over = m.echo.feed(append(m.in, b...), m.credit)
	m.out.Write(m.echo.out)
	m.echo.out = m.echo.out[:0]
}

// shake answers the handshake.
func (m *memory) shake() {
	head, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.head)))
	if err != nil {
		panic(err)
	}
	var fields []string
	for name, values := range head.Header {
		for _, v := range values {
			fields = append(fields, name+": "+v)
		}
	}
	req, o := request(head.Method, exchange.HTTP11, fields...), Offer{}
	if r := m.engine.Check(req, &o); r != nil {
		m.out.WriteString("HTTP/1.1 " + map[int]string{400: "400 Bad", 426: "426 Upgrade"}[r.Status] + "\r\n" + r.Lines + "content-length: 0\r\n\r\n")
		m.over = true
		return
	}
	lines, err := o.AppendLines([]byte("HTTP/1.1 101 Switching Protocols\r\n"), &exchange.Acceptance{})
	if err != nil {
		panic(err)
	}
	m.out.Write(append(lines, "\r\n"...))
	m.echo = newEcho(m.engine, o.Deflate)
}

var errSilent = errors.New("the server has nothing to say")

// Read takes what the server has sent.
func (m *memory) Read(b []byte) (int, error) {
	switch {
	case m.out.Len() > 0:
		return m.out.Read(b)
	case m.over:
		return 0, io.EOF
	}
	return 0, errSilent
}

const caseLimit = 16 << 20

// TestCases runs the table; what it costs to feed a byte at a time keeps the large ones out of that.
func TestCases(t *testing.T) {
	cases, err := wscases.All(caseLimit)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Settings{
		"fresh": {MaxSize: caseLimit, Deflate: true},
		"kept":  {MaxSize: caseLimit, Deflate: true, Takeover: true},
	} {
		for _, c := range cases {
			if raceEnabled && c.Bytes() > 8<<10 {
				continue // there is one goroutine; what the detector would find is in the others
			}
			if s.Takeover && c.Family() != "12" && c.Family() != "13" {
				continue
			}
			t.Run(name+"/"+c.Number, func(t *testing.T) {
				e := NewEngine(s)
				if err := wscases.Run(c, &memory{engine: e, credit: 64 << 10}, "test", "/"); err != nil {
					t.Errorf("%s (%s): %v", c.Title, c.Rule, err)
				}
				if c.Bytes() > 64<<10 {
					return
				}
				for _, m := range []*memory{{engine: e, credit: 64 << 10, piece: 1}, {engine: e, credit: 1, piece: 5}} {
					if err := wscases.Run(c, m, "test", "/"); err != nil {
						t.Errorf("%s (%s), in pieces of %d, with credit %d: %v", c.Title, c.Rule, m.piece, m.credit, err)
					}
				}
			})
		}
	}
}
