//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

// room is a WebSocket server of a few lines: texts go back, changed by answer; bytes go to all.
type room struct {
	answer func(frame []byte) []byte

	mu      sync.Mutex
	members []net.Conn
	opened  int
}

func (r *room) start(t *testing.T, head string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { // ends when the listener is closed
		for {
			w, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.serve(t, w, head) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

func (r *room) serve(t *testing.T, w net.Conn, head string) {
	defer func() { _ = w.Close() }()
	in := bufio.NewReader(w)
	request, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if request.Header.Get("Sec-WebSocket-Key") != wsKey || request.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("the handshake has %v", request.Header)
	}
	_, _ = io.WriteString(w, head)
	r.mu.Lock()
	r.members = append(r.members, w)
	r.opened++
	r.mu.Unlock()
	for {
		op, p, err := readClientFrame(in)
		if err != nil {
			return
		}
		f := serverFrame(op, p)
		if op == opText {
			_, _ = w.Write(r.answer(f))
			continue
		}
		r.mu.Lock()
		for _, member := range r.members {
			_, _ = member.Write(f)
		}
		r.mu.Unlock()
	}
}

func readClientFrame(in *bufio.Reader) (op byte, p []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	length := int(head[1] &^ masked)
	var more [6]byte
	extended := more[2:2]
	if length == length16 {
		extended = more[:2]
	}
	if _, err = io.ReadFull(in, extended); err != nil {
		return 0, nil, err
	}
	if length == length16 {
		length = int(extended[0])<<8 | int(extended[1])
	}
	key := more[2:6]
	p = make([]byte, length)
	if _, err = io.ReadFull(in, key); err == nil {
		_, err = io.ReadFull(in, p)
	}
	for i := range p {
		p[i] ^= key[i&3]
	}
	if head[0]&final == 0 || head[1]&masked == 0 {
		return 0, nil, errors.New("not one masked frame")
	}
	return head[0] &^ final, p, err
}

func serverFrame(op byte, p []byte) []byte {
	f := []byte{final | op, byte(len(p))}
	if len(p) > largest7 {
		f = []byte{final | op, length16, byte(len(p) >> 8), byte(len(p))}
	}
	return append(f, p...)
}

func as(frame []byte) []byte { return frame }

const accepted = switching + "sec-websocket-accept: " + wsAccept + "\r\n\r\n"

func TestEachTextComesBackOnItsWebSocket(t *testing.T) {
	for _, echo := range []string{"1", "64", "125", "126", "65535"} {
		r := &room{answer: as}
		got := runPlan(t, r.start(t, accepted), "-socket", "-echo", echo, "-connections", "8", "-count", "100")
		if got.Requests != 100 || got.Failures != 0 || r.opened != 8 {
			t.Errorf("%s bytes: %+v on %d connections", echo, got, r.opened)
		}
	}
}

func TestAClosedLoopWithoutACountLastsAsLongAsItShould(t *testing.T) {
	got := runPlan(t, (&room{answer: as}).start(t, accepted), "-socket", "-echo", "64", "-connections", "2", "-duration", "50ms")
	if got.Requests == 0 || got.Failures != 0 || got.Seconds < 0.05 || got.Seconds > 4 {
		t.Errorf("%+v", got)
	}
}

func TestWrongMessagesAreFailures(t *testing.T) {
	for want, answer := range map[string]func([]byte) []byte{
		"begins with 0x82":        func(f []byte) []byte { return append([]byte{0x82}, f[1:]...) },
		"begins with 0x89":        func([]byte) []byte { return []byte{0x89, 0} },
		"not the one of 64 bytes": func(f []byte) []byte { f[9] ^= 1; return f },
		"that nobody asked for":   func(f []byte) []byte { return append(f, 'x') },
		"masked, or far too long": func(f []byte) []byte { f[1] |= masked; return f },
	} {
		got := runPlan(t, (&room{answer: answer}).start(t, accepted), "-socket", "-echo", "64", "-connections", "1", "-count", "3")
		if got.Requests != 0 || got.Failures != 3 || !strings.Contains(strings.Join(got.Reasons, ";"), want) {
			t.Errorf("%s: %+v", want, got)
		}
	}
}

func TestAWrongHandshakeIsAFailure(t *testing.T) {
	for want, head := range map[string]string{
		"403":                 "HTTP/1.1 403 Forbidden\r\n\r\n",
		"key is not answered": switching + "Sec-WebSocket-Accept: " + wsKey + "\r\n\r\n",
		"not offered":         switching + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
	} {
		got := runPlan(t, (&room{answer: as}).start(t, head), "-socket", "-echo", "64", "-connections", "1", "-count", "1")
		if got.Failures != 1 || !strings.Contains(strings.Join(got.Reasons, ";"), want) {
			t.Errorf("%s: %+v", want, got)
		}
	}
}

func TestAHandshakeAndAMessageMayComeInPieces(t *testing.T) {
	for n := range len(accepted) {
		if _, err := checkHandshake([]byte(accepted[:n])); !errors.Is(err, errIncomplete) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	p := bytes.Repeat([]byte("x"), 300)
	whole := serverFrame(opBinary, p)
	for n := range len(whole) {
		if _, _, err := parseMessage(whole[:n], opBinary); !errors.Is(err, errIncomplete) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if got, n, err := parseMessage(whole, opBinary); err != nil || n != len(whole) || !bytes.Equal(got, p) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestWhatOneSaysAllHaveToHear(t *testing.T) {
	r := &room{answer: as}
	c := newTestClient(t, r.start(t, accepted), "-socket", "-echo", "64", "-connections", "20", "-count", "20", "-broadcast", "1024")
	if opened, err := c.run(); err != nil || opened.Requests != 20 || opened.Failures != 0 {
		t.Fatalf("%+v, %v", opened, err)
	}
	b := newBroadcast(c)
	got, err := b.run(50 * time.Millisecond)
	if err != nil || got.Failures != 0 || got.Requests == 0 || got.Requests%20 != 0 || got.Bytes != got.Requests*(1024+4) {
		t.Fatalf("%+v, %v", got, err)
	}
	r.mu.Lock()
	_ = r.members[0].Close() // one of them won't hear it
	r.mu.Unlock()
	if got, err = b.run(time.Minute); err == nil && got.Failures == 0 {
		t.Errorf("%+v", got)
	}
}

func TestFlagsOfWebSocketsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-socket"}, {"-socket", "-echo", "65536"}, {"-broadcast", "5", "-echo", "5"}, {"-socket", "-echo", "5", "-broadcast", "65536"},
	} {
		if _, err := parseFlags(append([]string{"-addr", "127.0.0.1:1"}, args...)); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
