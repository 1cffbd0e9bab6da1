package fault

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// advised is an error with a hint of its own.
type advised struct{ cause error }

func (advised) Error() string   { return "may not" }
func (advised) Hint() string    { return "ask" }
func (a advised) Unwrap() error { return a.cause }

func TestListen(t *testing.T) {
	sys := func(errno syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", errno)}
	}
	for _, c := range []struct {
		address       string
		cause         error
		problem, hint string
	}{
		{
			"127.0.0.1:8000", sys(syscall.EADDRINUSE), "can't listen on 127.0.0.1:8000: address already in use",
			"pick another address with `--port 8001`",
		},
		{"[::1]:65535", sys(syscall.EADDRINUSE), "can't listen on [::1]:65535: address already in use", ""},
		{
			"127.0.0.1:80", sys(syscall.EACCES), "can't listen on 127.0.0.1:80: permission denied",
			"ports below 1024 are for root: pick another with `--port 8000`, or grant CAP_NET_BIND_SERVICE",
		},
		{
			"192.0.2.1:80", sys(syscall.EADDRNOTAVAIL), "can't listen on 192.0.2.1:80: cannot assign requested address",
			"this machine has no such address: `--host 0.0.0.0` listens on all it has",
		},
		{
			"unix:/run/a", sys(syscall.EADDRINUSE), "can't listen on unix:/run/a: address already in use",
			"another server listens on `/run/a`: stop it, or pick another path",
		},
		{
			"unix:/no/a", sys(syscall.ENOENT), "can't listen on unix:/no/a: no such file or directory",
			"the folder of the socket must be there",
		},
		{
			"uwsgi://unix:/run/a", sys(syscall.EADDRINUSE), "can't listen on uwsgi://unix:/run/a: address already in use",
			"another server listens on `/run/a`: stop it, or pick another path",
		},
		{
			"uwsgi://127.0.0.1:3031", sys(syscall.EADDRINUSE), "can't listen on uwsgi://127.0.0.1:3031: address already in use",
			"pick another address with `--port 3032`",
		},
		{"unix:/run/b", advised{syscall.EPERM}, "can't listen on unix:/run/b: may not", "ask"},
		{"fd://9", sys(syscall.EBADF), "can't listen on fd://9: bad file descriptor", ""},
	} {
		f := Listen(c.address, c.cause)
		if f.Problem != c.problem || f.Hint != c.hint || f.Code != Runtime || !errors.Is(f, c.cause) {
			t.Errorf("got %q (%q)\nwant %q (%q)", f.Problem, f.Hint, c.problem, c.hint)
		}
	}
}

func TestProblemsAndCodes(t *testing.T) {
	for _, c := range []struct {
		fault   *Fault
		problem string
		code    int
	}{
		{Start("main:app", Report{Stage: Import, Message: "no module named `main`."}), "can't import `main:app`: no module named `main`", 3},
		{Start("main:app", Report{Stage: Lifespan, Message: "it raised"}), "can't start `main:app`: it raised", 3},
		{StartTimeout("main:app", time.Minute), "can't start `main:app`: not ready after 1m0s", 3},
		{
			CrashLoop("main:app", 5, "killed by SIGSEGV", ""),
			"can't start `main:app`: 5 workers in a row ended before they were ready, the last one: killed by SIGSEGV", 3,
		},
		{NoInterpreter([]string{"a", "b"}), "can't find a Python interpreter: looked for `a`, `b`", 2},
		{BadInterpreter("a", &os.PathError{Op: "exec", Path: "a", Err: syscall.ENOENT}), "can't run `a`: no such file or directory", 2},
		{NoPackage("a", "1.0"), "`a` has no awaitd 1.0", 2},
		{WireMismatch("a", 2, 1), "`a` has an awaitd of another version: it speaks wire 2, this server 1", 2},
		{Usagef("x %d", 1).WithHint("y %d", 2), "x 1", 2},
	} {
		if c.fault.Problem != c.problem || c.fault.Code != c.code {
			t.Errorf("got %q, code %d\nwant %q, code %d", c.fault.Problem, c.fault.Code, c.problem, c.code)
		}
	}
}

func TestCodeOf(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing":         {nil, OK},
		"any error":       {errors.New("x"), Runtime},
		"a wrapped fault": {fmt.Errorf("x: %w", Usagef("y")), Usage},
		"joined faults":   {errors.Join(errors.New("x"), Usagef("y")), Usage},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
