// Package systemd is the service's side of systemd's two protocols: socket activation (sd_listen_fds(3)), by which a process is
// started with listening sockets, and notification (sd_notify(3)), by which it says how it is. Both are variables and datagrams;
// other service managers speak them, too.
//
// Without the variables everything here does nothing.
package systemd

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Environment is what a service manager has told this process in its variables.
type Environment struct {
	Sockets  []Descriptor  // that were passed
	Watchdog time.Duration // within which the manager wants a sign of life, again and again; 0: it does not
	// Foreign is LISTEN_PID if the sockets are another process's: a shell in between was started with them, not this process.
	Foreign string
	// Unreachable is NOTIFY_SOCKET if it is of a kind that this package does not send to, such as vsock:2:1.
	Unreachable string
	notify      string // where the manager listens; empty: it does not
}

// Descriptor is a descriptor that was passed.
type Descriptor struct {
	FD   int
	Name string // from FileDescriptorName=, else the unit's; empty: none
}

// String returns the descriptor as --bind takes it, with its name.
func (d Descriptor) String() string {
	if d.Name == "" {
		return fmt.Sprintf("fd://%d", d.FD)
	}
	return fmt.Sprintf("fd://%d (%s)", d.FD, d.Name)
}

const (
	firstSocket = 3    // SD_LISTEN_FDS_START
	maxSockets  = 4096 // a count above the descriptors a process commonly may have is a mistake
)

// Variables returns the variables that are meant for this process alone: what it starts must not take them for its own.
func Variables() []string {
	return []string{
		"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
	}
}

// Read reads the variables, of which get returns one, for the process of an id.
func Read(get func(name string) string, pid int) (*Environment, error) {
	e := &Environment{}
	var wrong error
	own := strconv.Itoa(pid)
	if get("LISTEN_FDS") != "" {
		if by := get("LISTEN_PID"); by == own {
			e.Sockets, wrong = sockets(get("LISTEN_FDS"), get("LISTEN_FDNAMES"))
		} else {
			e.Foreign = by
		}
	}
	if by := get("WATCHDOG_PID"); by == "" || by == own {
		if usec, err := strconv.ParseInt(get("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && usec < maxMicroseconds {
			e.Watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	e.notify = get("NOTIFY_SOCKET")
	if e.notify != "" && e.notify[0] != '/' && e.notify[0] != '@' {
		e.notify, e.Unreachable = "", e.notify
	}
	if e.notify == "" {
		e.Watchdog = 0 // nobody to tell
	}
	return e, wrong
}

// maxMicroseconds is what a time.Duration holds.
const maxMicroseconds = int64(1<<63-1) / int64(time.Microsecond)

// sockets lists the descriptors that were passed.
func sockets(count, names string) ([]Descriptor, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS must be a number of descriptors, 0 to %d, got `%s`", maxSockets, count)
	}
	list := make([]Descriptor, n)
	for i := range list {
		list[i].FD = firstSocket + i
	}
	if names == "" {
		return list, nil
	}
	parts := strings.Split(names, ":")
	if len(parts) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES must name %d descriptors, got `%s`", n, names)
	}
	for i, name := range parts {
		if name != "unknown" { // what systemd calls one without a name
			list[i].Name = name
		}
	}
	return list, nil
}

// Successor returns the variables, NAME=value, for a process that takes this one's place. Its id is not known yet, so none is said.
func (e *Environment) Successor() []string {
	if e.notify == "" {
		return nil
	}
	variables := []string{"NOTIFY_SOCKET=" + e.notify}
	if e.Watchdog > 0 {
		variables = append(variables, "WATCHDOG_USEC="+strconv.FormatInt(e.Watchdog.Microseconds(), 10))
	}
	return variables
}

// Seal has the descriptors closed in every program that this process starts.
func (e *Environment) Seal() {
	for _, d := range e.Sockets {
		unix.CloseOnExec(d.FD)
	}
}

// Named returns the sockets of a name.
func (e *Environment) Named(name string) []Descriptor {
	var found []Descriptor
	for _, d := range e.Sockets {
		if d.Name == name {
			found = append(found, d)
		}
	}
	return found
}
