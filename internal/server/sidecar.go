package server

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/message"
	"github.com/awaitd/awaitd/internal/outbound"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// sidecarSocket names the descriptor of a sidecar's socket.
const sidecarSocket = "AWAITD_CLIENT_FD"

// Sidecar sends the requests of the program that started it, until that has ended.
func Sidecar(log io.Writer) error {
	fd, err := strconv.Atoi(os.Getenv(sidecarSocket))
	if err != nil {
		return fault.Usagef("`awaitd sidecar` is started by awaitd's Python package").
			WithHint("use `awaitd.Transport` with httpx, outside of a server, and it will be")
	}
	syscall.CloseOnExec(fd)
	conn, err := message.FromFile(os.NewFile(uintptr(fd), "client"))
	if err != nil {
		return fmt.Errorf("can't use the socket of the program: %w", err)
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP) // the terminal's, for the program: it says when this is over
	debug.SetGCPercent(2 * garbage)
	level, _ := telemetry.ParseLevel("info")
	s := &outbound.Server{Log: telemetry.NewLogger(telemetry.NewWriter(telemetry.NewSink(log, "log")), level)}
	return s.Serve(conn)
}
