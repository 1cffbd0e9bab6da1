package systemd

import (
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// manager is a service manager's end.
func manager(t *testing.T, address string) (Notifier, func() string) {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	e, err := read("NOTIFY_SOCKET=" + address)
	if err != nil {
		t.Fatal(err)
	}
	n := e.Notifier()
	if n.now() <= 0 {
		t.Error("the clock stands still")
	}
	n.now = func() int64 { return 123 }
	return n, func() string {
		buffer := make([]byte, 4096)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, err := c.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:size])
	}
}

// spec: protocols 11
func TestNotifications(t *testing.T) {
	n, heard := manager(t, filepath.Join(t.TempDir(), "notify"))
	for _, c := range []struct {
		send func() error
		want string
	}{
		{func() error { return n.Starting("Starting a:b", time.Minute) }, "STATUS=Starting a:b|EXTEND_TIMEOUT_USEC=60000000"},
		{func() error { return n.Ready("Serving a:b") }, "READY=1|STATUS=Serving a:b"},
		{func() error { return n.Reloading("Reloading: SIGHUP", time.Second) }, "RELOADING=1|MONOTONIC_USEC=123|STATUS=Reloading: SIGHUP|EXTEND_TIMEOUT_USEC=1000000"},
		{func() error { return n.Ready("It failed:\n  one\nREADY=1") }, "READY=1|STATUS=It failed: one READY=1"},
		{n.Alive, "WATCHDOG=1"},
		{func() error { return n.Stopping("Stopping", 30*time.Second) }, "STOPPING=1|STATUS=Stopping|EXTEND_TIMEOUT_USEC=30000000"},
	} {
		if err := c.send(); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(heard(), "\n", "|"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// spec: protocols 11
func TestAnAbstractNotificationSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has them")
	}
	n, heard := manager(t, "@awaitd-test-"+strings.ReplaceAll(t.TempDir(), "/", "-"))
	if err := n.Alive(); err != nil || heard() != "WATCHDOG=1" {
		t.Error(err)
	}
}

func TestNobodyIsTold(t *testing.T) {
	if err := (Notifier{}).Reloading("x", 0); err != nil {
		t.Error(err)
	}
	e, _ := read("NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "gone"))
	if e.Notifier().Alive() == nil {
		t.Error("a socket that is not there was told something")
	}
}
