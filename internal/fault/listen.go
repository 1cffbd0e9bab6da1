package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// privilegedPorts is the first port that any user may listen on.
const privilegedPorts = 1024

// Listen is the failure to listen on an address: host:port, unix:path or fd://N, perhaps with the scheme of a protocol in front.
func Listen(address string, cause error) *Fault {
	where := address
	f := &Fault{
		Problem: fmt.Sprintf("can't listen on %s: %v", where, reason(cause)),
		Code:    Runtime,
		Cause:   cause,
	}
	if scheme, rest, ok := strings.Cut(address, "://"); ok && scheme != "fd" {
		address = rest
	}
	path, unix := strings.CutPrefix(address, "unix:")
	advised, ok := errors.AsType[interface {
		error
		Hint() string
	}](cause)
	switch {
	case ok:
		f.Problem, f.Hint = fmt.Sprintf("can't listen on %s: %v", where, advised), advised.Hint()
	case errors.Is(cause, syscall.EADDRINUSE) && unix:
		f.Hint = fmt.Sprintf("another server listens on `%s`: stop it, or pick another path", path)
	case errors.Is(cause, syscall.EADDRINUSE):
		f.Hint = otherPort(address)
	case errors.Is(cause, syscall.EACCES) && portOf(address) > 0 && portOf(address) < privilegedPorts:
		f.Hint = fmt.Sprintf("ports below %d are for root: pick another with `--port 8000`, or grant CAP_NET_BIND_SERVICE",
			privilegedPorts)
	case errors.Is(cause, syscall.EADDRNOTAVAIL):
		f.Hint = "this machine has no such address: `--host 0.0.0.0` listens on all it has"
	case errors.Is(cause, fs.ErrNotExist) && unix:
		f.Hint = "the folder of the socket must be there"
	}
	return f
}

// otherPort is a hint at the next port.
func otherPort(address string) string {
	port := portOf(address)
	if port <= 0 || port >= 65535 {
		return ""
	}
	return fmt.Sprintf("pick another address with `--port %d`", port+1)
}

// portOf returns the port of host:port, or 0.
func portOf(address string) int {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, _ := strconv.Atoi(digits)
	return port
}

// reason returns the innermost error: the operation and address around it are said already.
func reason(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// InUse tells whether an address is another socket's.
func InUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
