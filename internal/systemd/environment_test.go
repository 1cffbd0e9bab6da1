package systemd

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const pid = 42

// read reads variables written as in a shell: A=1 B=2.
func read(text string) (*Environment, error) {
	variables := map[string]string{}
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		variables[name] = value
	}
	return Read(func(name string) string { return variables[name] }, pid)
}

// spec: protocols 11
func TestSocketsArePassedByVariables(t *testing.T) {
	for _, c := range []struct {
		name, variables string
		want            []Descriptor
		foreign         string
	}{
		{"nothing", "", nil, ""},
		{"one", "LISTEN_PID=42 LISTEN_FDS=1", []Descriptor{{3, ""}}, ""},
		{"with names", "LISTEN_PID=42 LISTEN_FDS=3 LISTEN_FDNAMES=web:admin:web", []Descriptor{{3, "web"}, {4, "admin"}, {5, "web"}}, ""},
		{"without a name", "LISTEN_PID=42 LISTEN_FDS=1 LISTEN_FDNAMES=unknown", []Descriptor{{3, ""}}, ""},
		{"with an empty name", "LISTEN_PID=42 LISTEN_FDS=2 LISTEN_FDNAMES=:a", []Descriptor{{3, ""}, {4, "a"}}, ""},
		{"none", "LISTEN_PID=42 LISTEN_FDS=0", []Descriptor{}, ""},
		{"for another process", "LISTEN_PID=43 LISTEN_FDS=1", nil, "43"},
		{"for another process, whatever they say", "LISTEN_PID=1 LISTEN_FDS=x", nil, "1"},
	} {
		e, err := read(c.variables)
		if err != nil || !reflect.DeepEqual(e.Sockets, c.want) || e.Foreign != c.foreign {
			t.Errorf("%s: got %v, %q, %v", c.name, e.Sockets, e.Foreign, err)
		}
	}
	e, _ := read("LISTEN_PID=42 LISTEN_FDS=3 LISTEN_FDNAMES=web:admin:web")
	if got := e.Named("web"); !reflect.DeepEqual(got, []Descriptor{{3, "web"}, {5, "web"}}) {
		t.Errorf("web is %v", got)
	}
}

// spec: protocols 11
func TestVariablesThatMakeNoSense(t *testing.T) {
	for variables, want := range map[string]string{
		"LISTEN_PID=42 LISTEN_FDS=x":                      "LISTEN_FDS must be a number of descriptors, 0 to 4096, got `x`",
		"LISTEN_PID=42 LISTEN_FDS=-1":                     "LISTEN_FDS must be a number of descriptors, 0 to 4096, got `-1`",
		"LISTEN_PID=42 LISTEN_FDS=4097":                   "LISTEN_FDS must be a number of descriptors, 0 to 4096, got `4097`",
		"LISTEN_PID=42 LISTEN_FDS=2 LISTEN_FDNAMES=a:b:c": "LISTEN_FDNAMES must name 2 descriptors, got `a:b:c`",
	} {
		if _, err := read(variables); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", variables, err)
		}
	}
}

// spec: protocols 11
func TestTheWatchdogIsForOneProcessAndNeedsSomebodyToTell(t *testing.T) {
	for variables, want := range map[string]time.Duration{
		"WATCHDOG_USEC=2000000 WATCHDOG_PID=42 NOTIFY_SOCKET=@a": 2 * time.Second,
		"WATCHDOG_USEC=2000000 NOTIFY_SOCKET=/a":                 2 * time.Second,
		"WATCHDOG_USEC=2000000 WATCHDOG_PID=43 NOTIFY_SOCKET=/a": 0,
		"WATCHDOG_USEC=2000000 WATCHDOG_PID=42":                  0,
		"WATCHDOG_USEC=0 NOTIFY_SOCKET=/a":                       0,
		"WATCHDOG_USEC=-5 NOTIFY_SOCKET=/a":                      0,
		"WATCHDOG_USEC=99999999999999999999 NOTIFY_SOCKET=/a":    0,
		"WATCHDOG_USEC=2000000 NOTIFY_SOCKET=vsock:2:1":          0,
	} {
		e, err := read(variables)
		if err != nil || e.Watchdog != want {
			t.Errorf("%s: got %v, %v", variables, e.Watchdog, err)
		}
	}
	if e, _ := read("NOTIFY_SOCKET=vsock:2:1"); e.Unreachable != "vsock:2:1" {
		t.Errorf("got %q", e.Unreachable)
	}
}

// spec: protocols 11
func TestSealedDescriptorsAreNotInherited(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	(&Environment{Sockets: []Descriptor{{FD: fd}}}).Seal()
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("it would be")
	}
}
