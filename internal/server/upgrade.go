package server

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/upgrade"
)

// upgrading is what a server does that waits for its successor; replaced, one that has it.
const (
	upgrading = "upgrading"
	replaced  = "replaced"
)

// lingerTime is how long a replaced server keeps idle connections: most clients send a request meanwhile, and are told to come
// anew. A connection that is closed while a request is on its way fails it.
const lingerTime = 5 * time.Second

// farewellTime is what is kept of the grace for the end of WebSockets, at most half of it: clients answer the close, applications and
// their lifespans end.
const farewellTime = 5 * time.Second

// controlAddress names the control socket among those that are handed over.
func (s *Server) controlAddress() string { return "control:" + s.cfg.Control }

// upgrade starts the successor, unless there is one.
func (s *Server) upgrade() {
	err := errors.New("another upgrade is under way")
	switch {
	case s.next != nil:
	case os.Getpid() == 1:
		err = errors.New("with process 1 its container ends: start a new container")
	default:
		s.next, err = s.startSuccessor()
	}
	if err != nil {
		s.log.Error("the upgrade is refused", "because", err)
		return
	}
	s.phase.Store(upgrading)
	s.log.Info("upgrading", "successor", s.next.PID())
	s.tell(s.notifier.Status("Upgrading"))
}

// startSuccessor starts the program anew, with everything that must not be closed.
func (s *Server) startSuccessor() (*upgrade.Successor, error) {
	path, err := upgrade.Program(os.Args[0], s.cfg.Launched)
	if err != nil {
		return nil, err
	}
	give := upgrade.Inheritance{}
	for i, socket := range s.sockets {
		give.Sockets = append(give.Sockets, upgrade.Socket{Address: s.addresses[i], FD: socket.FD, Own: socket.Owned()})
	}
	for _, d := range s.manager.Sockets {
		address := addressOf(config.Bind{Network: config.Descriptor, FD: d.FD})
		if s.legacy == nil && !slices.Contains(s.addresses, address) { // not used, but the settings may have changed
			give.Sockets = append(give.Sockets, upgrade.Socket{Address: address, FD: d.FD})
		}
		give.Passed = append(give.Passed, upgrade.Passed{FD: d.FD, Name: d.Name})
	}
	if s.cfg.Control != "" && s.control != nil {
		c := s.controlSocket
		give.Sockets = append(give.Sockets, upgrade.Socket{Address: s.controlAddress(), FD: c.FD, Own: c.Owned()})
	}
	if s.pidFile != nil {
		give.PIDFile = &upgrade.File{Path: s.pidFile.path, FD: int(s.pidFile.file.Fd())}
	}
	return upgrade.Start(upgrade.Spec{
		Path: path, Args: os.Args[1:], Dir: s.cfg.Launched, Environ: append(os.Environ(), s.manager.Successor()...),
		Stdout: s.out.Access, Stderr: s.out.Log, Give: give, Within: s.cfg.TimeoutStartup + managerSlack, Run: s.reaper.Run,
	})
}

// successorReady and successorGone tell about the successor; nil as long as there is none.
func (s *Server) successorReady() <-chan struct{} {
	if s.next == nil {
		return nil
	}
	return s.next.Ready
}

func (s *Server) successorGone() <-chan struct{} {
	if s.next == nil {
		return nil
	}
	return s.next.Done
}

// upgradeFailed goes on without a successor.
func (s *Server) upgradeFailed() {
	<-s.next.Done
	s.log.Error("the upgrade failed; this server goes on", "successor", s.next.PID(), "how", s.next.How())
	s.next = nil
	s.phase.Store(serving)
	if err := s.pidFile.write(); err != nil { // the other may have come as far as that
		s.log.Error("after the upgrade", "error", err)
	}
	s.tell(s.notifier.Status(s.serving() + ". An upgrade failed"))
}

// handOver makes everything the successor's. It reports false if that one is gone.
func (s *Server) handOver() bool {
	s.tell(s.notifier.MainPID(s.next.PID())) // first: the manager hears the successor only when it knows it
	if err := s.next.Go(); err != nil {
		s.tell(s.notifier.MainPID(os.Getpid()))
		s.next.Kill()
		s.upgradeFailed()
		return false
	}
	s.phase.Store(replaced)
	s.ending.Store(true)
	for _, socket := range s.sockets {
		socket.Disown()
	}
	if s.cfg.Control != "" && s.control != nil {
		s.controlSocket.Disown()
	}
	s.control.Close()
	return true
}

// retire ends a server that was replaced: its sockets are another's, its connections are let go one by one. Its WebSockets go on
// for as long as the grace allows, or until a signal asks for the end.
func (s *Server) retire(signals <-chan os.Signal) {
	grace := s.cfg.TimeoutGracefulShutdown
	end := time.Now().Add(grace)
	s.refuse()
	idle := s.drain(func(h house, idle func()) { h.Fade(min(grace, lingerTime), idle) })
	s.log.Info("replaced; finishing what runs", "successor", s.next.PID())
	s.linger(idle, signals, time.After(grace-min(grace/2, farewellTime)))
	s.force(signals)
	s.onAllHouses(house.Leave)
	s.finish(idle, end)
}

// linger waits until no connection is left, or for an end that can't wait for that.
func (s *Server) linger(idle <-chan struct{}, signals <-chan os.Signal, over <-chan time.Time) {
	for {
		select {
		case <-idle:
			return
		case <-over:
			return
		case sig := <-signals:
			if ends(sig) {
				s.log.Info("stopping")
				return
			}
			s.log.Warn("a signal is not heeded: the server ends", "signal", sig)
		}
	}
}

// inherit takes over the socket of an address, if this server replaces another that has it.
func (s *Server) inherit(address string, datagrams bool) (*listen.Socket, bool, error) {
	given, ok := s.legacy.Take(address)
	if !ok {
		return nil, false, nil
	}
	socket, err := s.take(given.FD, datagrams)
	if err == nil && given.Own {
		s.owed = append(s.owed, socket)
	}
	return socket, true, err
}

// takeOver tells the server that this one replaces that it may go, and takes over what it had.
func (s *Server) takeOver() error {
	if s.legacy == nil {
		return nil
	}
	if err := s.legacy.Announce(); err != nil {
		s.log.Warn("the server to be replaced is gone already", "error", err)
	}
	s.notifier = s.manager.Notifier()
	for _, socket := range s.owed {
		socket.Own()
	}
	for _, rest := range s.legacy.Sockets { // the settings don't name them any more
		if socket, err := listen.Kept(rest.FD); err == nil {
			if rest.Own {
				socket.Own()
			}
			socket.Close()
		}
	}
	return s.serveControl()
}

// addressOf names a place among the sockets that are handed over, whatever is spoken there.
func addressOf(at config.Bind) string {
	at.TLS, at.Plain = false, false
	if at.Target = ""; at.Protocol != config.Datagrams {
		at.Protocol = config.HTTP
	}
	return at.String()
}
