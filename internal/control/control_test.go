package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
)

// fake is a server that does nothing but note what it is asked.
type fake struct {
	asked  chan string
	reload error
	text   string
}

func (f *fake) Status() *Status { return &Status{Version: "1.2.3", Target: "main:app"} }
func (f *fake) Stacks(worker string) ([]Stack, error) {
	return []Stack{{worker, 1, f.text}, {worker, 2, f.text}}, nil
}
func (f *fake) Reload() error { return f.reload }
func (f *fake) Stop()         { f.asked <- "stop" }

// serve runs a control server.
func serve(t *testing.T, f *fake) *Server { return serveKnowing(t, f, peer) }

// serveKnowing runs one that is told who its clients are.
func serveKnowing(t *testing.T, f *fake, peer func(int) (int, error)) *Server {
	t.Helper()
	socket, err := listen.Unix(filepath.Join(t.TempDir(), "c.sock"), listen.Access{Permissions: 0o600}, 16)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := socket.Listener()
	if err != nil {
		t.Fatal(err)
	}
	f.asked = make(chan string, 10)
	s := &Server{Path: socket.Path, socket: socket, listener: listener, handler: f, peer: peer, end: make(chan struct{})}
	s.refused = func(int) { f.asked <- "refused" }
	s.start()
	t.Cleanup(s.Close)
	return s
}

func TestCommandsAreAnswered(t *testing.T) {
	f := &fake{text: "at work"}
	s := serve(t, f)
	if r, err := Ask(s.Path, Request{Command: CommandStatus}); err != nil || r.Status.Target != "main:app" {
		t.Errorf("status: %+v, %v", r, err)
	}
	if r, err := Ask(s.Path, Request{Command: CommandStacks, Worker: "w"}); err != nil || r.Stacks[1] != (Stack{"w", 2, "at work"}) {
		t.Errorf("stacks: %+v, %v", r, err)
	}
	if _, err := Ask(s.Path, Request{Command: CommandReload}); err != nil {
		t.Errorf("reload: %v", err)
	}
	f.reload = &fault.Fault{Problem: "can't import", Hint: "mend it", Trace: "Traceback"}
	_, err := Ask(s.Path, Request{Command: CommandReload})
	if got, ok := errors.AsType[*Failure](err); !ok || *got != (Failure{"can't import", "mend it", "Traceback"}) {
		t.Errorf("reload: %v", err)
	}
}

func TestWhoAsksForTheEndWaitsForIt(t *testing.T) {
	f := &fake{}
	s := serve(t, f)
	c := dial(t, s)
	say(t, c, `{"command":"stop"}`+"\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("{\"pid\":%d}\n", os.Getpid()) || <-f.asked != "stop" {
		t.Fatalf("%q, %v", line, err)
	}
	s.Close()
	if _, err := os.Stat(s.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection has ended before the process: %v", err)
	}
	s.mu.Lock()
	_ = s.kept[0].Close() // as the kernel does
	s.mu.Unlock()
	_ = c.SetReadDeadline(time.Time{})
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestHostileClients(t *testing.T) {
	s := serve(t, &fake{})
	for name, c := range map[string]struct{ says, want string }{
		"too long":         {strings.Repeat("x", maxRequest) + "\n", "has 4096 bytes at most"},
		"no end":           {strings.Repeat(" ", maxRequest), "has 4096 bytes at most"},
		"no JSON":          {"GET / HTTP/1.1\r\n", "a line of JSON"},
		"another type":     {`{"command":{}}` + "\n", "a line of JSON"},
		"an unknown word":  {`{"command":"` + strings.Repeat("z", 99) + `"}` + "\n", "no command `" + strings.Repeat("z", 20) + "`"},
		"nothing, and end": {"", "a line of JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, s)
			say(t, conn, c.says)
			if c.says == "" {
				_ = conn.(*net.UnixConn).CloseWrite()
			}
			var r Response
			if err := json.NewDecoder(conn).Decode(&r); err != nil || r.Failure == nil || !strings.Contains(r.Failure.Problem, c.want) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	if _, err := Ask(s.Path, Request{Command: CommandStatus}); err != nil {
		t.Errorf("after them: %v", err)
	}
}

func TestASlowClientHoldsUpNobodyAndIsCutOff(t *testing.T) {
	s := serve(t, &fake{})
	slow := make([]net.Conn, maxClients-1)
	for i := range slow {
		slow[i] = dial(t, s)
		say(t, slow[i], `{"comm`)
	}
	if _, err := Ask(s.Path, Request{Command: CommandStatus}); err != nil {
		t.Fatal(err)
	}
	var r Response
	if err := json.NewDecoder(slow[0]).Decode(&r); err != nil || !strings.Contains(r.Failure.Problem, "within 5s") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOnlyRootAndTheSameUserAreHeard(t *testing.T) {
	for _, c := range []struct {
		uid, own int
		want     bool
	}{{1000, 1000, true}, {0, 1000, true}, {0, 0, true}, {1001, 1000, false}, {1000, 0, false}, {65534, 1000, false}, {-1, 1000, false}} {
		if got := allowed(c.uid, c.own); got != c.want {
			t.Errorf("user %d of a server of %d: %v", c.uid, c.own, got)
		}
	}
	f := &fake{}
	s := serveKnowing(t, f, func(int) (int, error) { return os.Geteuid() + 1, nil })
	if _, err := Ask(s.Path, Request{Command: CommandStop}); err == nil || <-f.asked != "refused" {
		t.Errorf("another user was heard: %v", err)
	}
}

func TestTheKernelTellsWhoConnects(t *testing.T) {
	seen := make(chan int, 1)
	s := serveKnowing(t, &fake{}, func(fd int) (int, error) {
		uid, err := peer(fd)
		seen <- uid
		return uid, err
	})
	if _, err := Ask(s.Path, Request{Command: CommandStatus}); err != nil {
		t.Fatal(err)
	}
	if uid := <-seen; uid != os.Geteuid() {
		t.Errorf("got %d", uid)
	}
}

func TestStacksFitIntoAnAnswer(t *testing.T) {
	s := serve(t, &fake{text: strings.Repeat("\x00", maxResponse)})
	if r, err := Ask(s.Path, Request{Command: CommandStacks}); err != nil || len(r.Stacks[1].Text) < maxResponse/20 {
		t.Fatal(err)
	}
}

func TestAServerThatIsNoneIsNotWaitedForForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_ = c.Close()
	}()
	if _, err := Ask(path, Request{Command: CommandStatus}); err == nil || !strings.Contains(err.Error(), "not an answer of awaitd") {
		t.Errorf("got %v", err)
	}
}

func TestThePlaceIsPrivate(t *testing.T) {
	run, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	path, err := Default(run)
	if err != nil || strings.HasPrefix(path, run) {
		t.Errorf("a folder that others may read was taken: %s, %v", path, err)
	}
	if err := os.Chmod(run, 0o700); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(run, "awaitd-4194304.sock") // beyond the largest id there is
	leave(t, dead)
	other := filepath.Join(run, "other.sock")
	leave(t, other)
	path, err = Default(run)
	if err != nil || filepath.Dir(path) != run || pidOf(path) != os.Getpid() {
		t.Errorf("%s, %v", path, err)
	}
	if _, err := os.Lstat(dead); err == nil {
		t.Error("the socket of a dead server is still there")
	}
	if _, err := os.Lstat(other); err != nil {
		t.Errorf("somebody else's socket is gone: %v", err)
	}
}

// leave makes a socket that nobody listens on.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}
