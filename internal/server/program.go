package server

import (
	"cmp"
	"time"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/worker"
)

// programOf returns the program that the settings have supervised, without sockets yet; nil if they have an application served.
func programOf(c *config.Config) *worker.Program {
	if c.Program == nil {
		return nil
	}
	name := cmp.Or(c.Program.Module, c.Program.Script)
	return &worker.Program{
		Module: c.Program.Module != "", Command: append([]string{name}, c.Program.Args...), Names: []string{}, ReadyAfter: c.ReadyAfter,
	}
}

// take takes over a descriptor that was passed. Of one that is passed on, nothing is changed: processes may be accepting from it.
func (s *Server) take(fd int, datagrams bool) (*listen.Socket, error) {
	if s.program != nil {
		return listen.Kept(fd)
	}
	return listen.Inherited(fd, datagrams)
}

// unnamed is what sd_listen_fds_with_names(3) calls a socket without a name.
const unnamed = "unknown"

// open prepares a socket that this server has made. A program's blocks at first, as one from systemd does.
func (s *Server) open(socket *listen.Socket, err error) (*listen.Socket, error) {
	if err == nil && s.program != nil {
		err = socket.Block()
	}
	return socket, err
}

// bestow adds a socket to those that the program is given.
func (s *Server) bestow(socket *listen.Socket, at config.Bind) {
	switch {
	case socket.Path != "":
	case socket.Datagram:
		socket.Protocol, socket.Scheme = string(config.UDP), string(config.UDP)
	default:
		socket.Protocol, socket.Scheme = string(config.TCP), string(config.TCP)
	}
	name := unnamed
	for _, d := range s.manager.Sockets {
		if at.Network == config.Descriptor && d.FD == at.FD && d.Name != "" {
			name = d.Name
		}
	}
	s.program.Sockets, s.program.Names = append(s.program.Sockets, socket.FD), append(s.program.Names, name)
}

// startGrace is how long a process may take to end that is not ready yet. A worker has nothing to lose.
func (s *Server) startGrace() time.Duration {
	if s.program == nil {
		return 0
	}
	return s.cfg.TimeoutGracefulShutdown
}
