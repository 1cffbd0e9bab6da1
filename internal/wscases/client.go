package wscases

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// message is what came, or is to come.
type message struct {
	op      byte
	payload []byte
}

func (m message) String() string {
	name := map[byte]string{1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}[m.op]
	if len(m.payload) > 64 {
		return fmt.Sprintf("%s of %d bytes, %q …", name, len(m.payload), m.payload[:32])
	}
	return fmt.Sprintf("%s %q", name, m.payload)
}

// client runs one case.
type client struct {
	conn     io.Writer
	in       *bufio.Reader
	agreed   agreement
	piece    int // bytes in one write; 0: all
	pack     *packer
	unpack   *unpacker
	sent     []message // whole messages that no echo was seen of
	sending  message   // in fragments
	packed   bool      // sending is compressed
	messages []message // came, and were not expected yet
	controls []message
	coming   message // in fragments
	inside   bool
	unpacks  bool // coming is compressed
	closed   bool // the server's close has come, or the end
	closing  bool // the client's close has gone
	pings    int  // of ping-between, whose pongs were not expected yet
	keys     uint32
}

// Run runs a case against a server to which conn leads. The bytes that are written come to it in pieces of their own.
func Run(c *Case, conn io.ReadWriter, host, path string) error {
	k := &client{conn: conn, in: bufio.NewReader(conn)}
	var open bool
	var err error
	if k.agreed, open, err = c.handshake.shake(conn, k.in, host, path); err != nil || !open {
		return err
	}
	k.pack, k.unpack = newPacker(k.agreed), &unpacker{agreed: k.agreed}
	for range c.repeat {
		for i := range c.steps {
			s := &c.steps[i]
			if err := k.do(s); err != nil {
				return fmt.Errorf("at %.100q: %w", s.text, err)
			}
		}
	}
	return k.finish()
}

// do does one step.
func (k *client) do(s *step) error {
	switch s.do {
	case chop:
		k.piece = s.count
	case sendRaw:
		return k.write(s.payload)
	case sendFrame:
		for range s.count {
			if err := k.send(s); err != nil {
				return err
			}
		}
	case expectMessage:
		k.sent = nil
		return k.expect(&k.messages, message{s.op, s.payload}, s.optional)
	case expectPong:
		return k.expect(&k.controls, message{s.op, s.payload}, s.optional)
	case expectEcho:
		sent := k.sent
		k.sent = nil
		for _, m := range sent {
			if err := k.expect(&k.messages, m, s.optional); err != nil {
				return err
			}
		}
	case expectPongs:
		for ; k.pings > 0; k.pings-- {
			if err := k.expect(&k.controls, message{op: 10}, s.optional); err != nil {
				return err
			}
		}
	case expectClose:
		return k.expectClose(s)
	}
	return nil
}

// expect reads until something has come to a queue, and compares it.
func (k *client) expect(queue *[]message, want message, optional bool) error {
	for len(*queue) == 0 && !k.closed {
		if err := k.read(); err != nil {
			return err
		}
	}
	if len(*queue) == 0 || (*queue)[0].op == 8 {
		if optional {
			return nil
		}
		return fmt.Errorf("a close instead of %v: %v", want, *queue)
	}
	got := (*queue)[0]
	if got.op != want.op || !bytes.Equal(got.payload, want.payload) {
		return fmt.Errorf("%v instead of %v", got, want)
	}
	*queue = (*queue)[1:]
	return nil
}

// expectClose reads the server's close, answers it if it is not the answer, and sees the connection end.
func (k *client) expectClose(s *step) error {
	for !k.closed {
		if err := k.read(); err != nil {
			return err
		}
	}
	if len(k.controls) == 0 {
		return errors.New("the connection ends without a close")
	}
	got := k.controls[0]
	want := s.payload
	if s.code < 0 {
		want = nil
	}
	// The reason is the server's own, unless the case names one.
	if len(k.controls) > 1 || got.op != 8 || !bytes.HasPrefix(got.payload, want) || len(got.payload) > 0 && want == nil {
		return fmt.Errorf("%v", k.controls)
	}
	k.controls = nil
	if !k.closing {
		k.closing = true
		_ = k.write(maskFrame(&frame{op: 8, first: 0x80, declare: -1}, got.payload, k.key())) // the server may be gone already
	}
	if _, err := k.in.ReadByte(); err == nil {
		return errors.New("bytes behind the close")
	}
	return nil
}

// finish closes the connection, if the case has not.
func (k *client) finish() error {
	if !k.closed {
		k.closing = true
		normal := []byte("\x03\xe8")
		if err := k.write(maskFrame(&frame{op: 8, first: 0x80, declare: -1}, normal, k.key())); err != nil {
			return err
		}
		if err := k.expectClose(&step{frame: frame{payload: normal, code: 1000}}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	if left := slices.Concat(k.messages, k.controls); len(left) > 0 {
		return fmt.Errorf("nobody expects %v", left)
	}
	return nil
}

// write sends bytes, in pieces if so told.
func (k *client) write(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if k.piece > 0 {
			n = min(n, k.piece)
		}
		if _, err := k.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
