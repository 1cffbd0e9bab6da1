package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/message"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/fault"
)

// pieces is a reader that gives one piece at each read.
type pieces struct{ left []string }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; p.left[0] == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

func TestOutputIsPassedOnLineByLine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"nothing", nil, ""},
		{"a line", []string{"one\n"}, "> one\n"},
		{"several at once", []string{"one\ntwo\nthree\n"}, "> one\n> two\n> three\n"},
		{"a line in pieces", []string{"o", "n", "e\nt", "wo\n"}, "> one\n> two\n"},
		{"no newline at the end", []string{"one\ntwo"}, "> one\n> two\n"},
		{"empty lines", []string{"\n\none\n\n"}, "> \n> \n> one\n> \n"},
		{"a newline alone in its piece", []string{"one", "\n", "two\n"}, "> one\n> two\n"},
		{"a line as long as may be", []string{long[1:] + "\n"}, "> " + long[1:] + "\n"},
		{"a longer line in parts", []string{long + "tail\nnext\n"}, "> " + long + "\n> tail\n> next\n"},
		{"a long line without an end", []string{long, long}, "> " + long + "\n> " + long + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			copyLines(&out, "> ", &pieces{c.in})
			if out.String() != c.want {
				t.Fatalf("%.200q (%d bytes), want %.200q (%d)", out.String(), out.Len(), c.want, len(c.want))
			}
		})
	}
}

// broken is a log that can't be written.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputIsReadOnWhenTheLogCantBeWritten(t *testing.T) {
	in := &pieces{[]string{"one\n", "two\n", "three\n"}}
	copyLines(broken{}, "", in)
	if len(in.left) != 0 {
		t.Fatal("the worker would block")
	}
}

// program puts an executable file at path.
func program(t *testing.T, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheInterpreterIsLookedForInItsOrder(t *testing.T) {
	dir := t.TempDir()
	onPath := program(t, dir, "path", "python3")
	beside3 := program(t, dir, "wheel", "bin", "python3")
	beside := program(t, dir, "wheel", "bin", "python")
	dotVenv := program(t, dir, "app", ".venv", "bin", "python")
	active := program(t, dir, "active", "bin", "python")
	explicit := program(t, dir, "explicit", "python3.15")
	t.Setenv("PATH", filepath.Join(dir, "path"))
	s := Search{
		Explicit: explicit, VirtualEnv: filepath.Join(dir, "active"), AppDir: filepath.Join(dir, "app"),
		Executable: filepath.Join(dir, "wheel", "bin", "awaitd"),
	}
	// Each is found as long as it is there; then it goes, and the next is found.
	for _, want := range []Interpreter{
		{Path: explicit, From: "--python"},
		{Path: active, From: "VIRTUAL_ENV"},
		{Path: dotVenv, From: ".venv"},
		{Path: beside, From: "beside awaitd"},
		{Path: beside3, From: "beside awaitd"},
		{Path: onPath, From: "PATH"},
	} {
		got, err := Find(s)
		if err != nil || got != want {
			t.Fatalf("found %+v (%v), want %+v", got, err, want)
		}
		s.Explicit = ""
		_ = os.Remove(want.Path)
	}
	_, err := Find(s)
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || !strings.Contains(f.Error()+f.Hint, ".venv") {
		t.Fatalf("without any: %v", err)
	}
}

func TestAnInterpreterThatWasAskedForIsNotReplacedByAnother(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "path", "python3")
	t.Setenv("PATH", filepath.Join(dir, "path"))
	if got, err := Find(Search{Explicit: filepath.Join(dir, "none")}); err == nil {
		t.Fatalf("found %+v", got)
	}
	if got, err := Find(Search{Explicit: "python3"}); err != nil || got.Path != filepath.Join(dir, "path", "python3") {
		t.Fatalf("by name: %+v, %v", got, err)
	}
}

func TestAFileThatCantBeRunIsNoInterpreter(t *testing.T) {
	dir := t.TempDir()
	onPath := program(t, dir, "path", "python3")
	t.Setenv("PATH", filepath.Join(dir, "path"))
	_ = os.Chmod(program(t, dir, "venv", "bin", "python"), 0o644)
	if got, err := Find(Search{VirtualEnv: filepath.Join(dir, "venv")}); err != nil || got.Path != onPath {
		t.Fatalf("%+v, %v", got, err)
	}
}

// workerSide is the other end of a control socket.
func workerSide(t *testing.T) (*control, *net.UnixConn) {
	t.Helper()
	c, theirs, err := newControl()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(theirs)
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close(); _ = conn.Close() })
	return c, conn.(*net.UnixConn)
}

func frame(n int, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(n)), text...)
}

func TestControlMessagesAreFramed(t *testing.T) {
	c, peer := workerSide(t)
	text := `{"type":"hello","wire":1,"python":"3.11.7","future":true}`
	message := frame(len(text), text)
	go func() {
		for _, b := range append(message, message...) { // one byte at a time
			_, _ = peer.Write([]byte{b})
		}
		_ = peer.Close()
	}()
	for range 2 {
		m, err := c.receive()
		if err != nil || m.Type != "hello" || m.Wire != 1 || m.hello.Python != "3.11.7" {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if _, err := c.receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
}

func TestControlMessagesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"too long", frame(message.Max+1, ""), message.ErrTooLong},
		{"far too long", frame(-1, ""), message.ErrTooLong},
		{"no JSON", frame(3, "abc"), nil},
		{"another type of JSON", frame(2, "[]"), nil},
		{"cut off", frame(10, "abc"), io.ErrUnexpectedEOF},
		{"cut off in its length", []byte{1, 0}, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctl, peer := workerSide(t)
			_, _ = peer.Write(c.raw)
			_ = peer.Close()
			_, err := ctl.receive()
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestAMessageCarriesDescriptors(t *testing.T) {
	c, peer := workerSide(t)
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	if err := c.Send(Setup{Type: "setup", Name: "w"}, []int{p[0]}); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(p[0])
	b, rights := make([]byte, 1<<16), make([]byte, 100)
	n, m, _, _, err := peer.ReadMsgUnix(b, rights)
	if err != nil || int(binary.LittleEndian.Uint32(b)) != n-4 || !strings.Contains(string(b[:n]), `"name":"w"`) {
		t.Fatalf("%q, %v", b[:n], err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	_, _ = unix.Write(p[1], []byte("through"))
	if n, err := unix.Read(fds[0], b); err != nil || string(b[:n]) != "through" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	_ = unix.Close(fds[0])
}
