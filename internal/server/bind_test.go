package server

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
)

// spec: protocols 11
func TestAnAddressThatAnotherOfOursTakes(t *testing.T) {
	s := &Server{sockets: []*listen.Socket{{Address: netip.MustParseAddrPort("127.0.0.1:8000")}}}
	for _, c := range []struct {
		port  int
		cause error
		hint  string
	}{
		{8000, syscall.EADDRINUSE, "this server listens on 127.0.0.1:8000 already, which takes the same port"},
		{8001, syscall.EADDRINUSE, "pick another address with `--port 8002`"},
		{8000, syscall.EACCES, ""},
	} {
		f, ok := errors.AsType[*fault.Fault](s.explain(config.Bind{Network: config.TCP, Host: "0.0.0.0", Port: c.port}, c.cause))
		if !ok || f.Hint != c.hint {
			t.Errorf("port %d, %v: hint %q", c.port, c.cause, f.Hint)
		}
	}
}
