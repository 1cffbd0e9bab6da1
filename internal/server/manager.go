package server

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/systemd"
	"github.com/awaitd/awaitd/internal/upgrade"
)

// meetManager reads what a service manager has told this process, and sees to it that no worker takes it for its own.
func (s *Server) meetManager() error {
	var err error
	s.manager, err = systemd.Read(os.Getenv, os.Getpid())
	for _, name := range systemd.Variables() {
		_ = os.Unsetenv(name)
	}
	if err != nil {
		return fault.Usagef("%v", err)
	}
	s.legacy, err = upgrade.Read(os.Getenv)
	_ = os.Unsetenv(upgrade.Variable)
	if err != nil {
		return fault.Usagef("%v", err)
	}
	if s.legacy == nil {
		s.notifier = s.manager.Notifier()
	} else { // the manager does not listen to this process yet
		for _, d := range s.legacy.Passed {
			s.manager.Sockets = append(s.manager.Sockets, systemd.Descriptor{FD: d.FD, Name: d.Name})
		}
	}
	if s.manager.Foreign != "" {
		s.log.Info("sockets that were passed are not for this process", "LISTEN_PID", s.manager.Foreign, "pid", os.Getpid())
	}
	if s.manager.Unreachable != "" {
		s.log.Warn("the service manager is not told anything", "NOTIFY_SOCKET", s.manager.Unreachable)
	}
	return nil
}

// tell logs, once, that the service manager could not be told something.
func (s *Server) tell(err error) {
	if err != nil {
		s.untold.Do(func() { s.log.Warn("can't tell the service manager", "error", err) })
	}
}

// What the stages of a run take besides the time that the settings grant: what a slow machine may need on top.
const managerSlack = 15 * time.Second

func (s *Server) tellStarting() {
	s.tell(s.notifier.Starting(fmt.Sprintf("Starting %s", s.cfg.What()), s.cfg.TimeoutStartup+managerSlack))
}

// serving is the status of a server that does what it is for.
func (s *Server) serving() string {
	var where []string
	for _, socket := range s.sockets {
		where = append(where, socket.URL())
	}
	if len(where) == 0 {
		return "Running " + s.cfg.What()
	}
	return fmt.Sprintf("Serving %s on %s", s.cfg.What(), strings.Join(where, ", "))
}

func (s *Server) tellReady() { s.tell(s.notifier.Ready(s.serving())) }

// tellReloading says that a reload begins. Of reloads that overlap, the last to end says that they are over.
func (s *Server) tellReloading(why string) {
	s.reloads.Add(1)
	within := s.cfg.TimeoutStartup + s.cfg.TimeoutGracefulShutdown + managerSlack
	s.tell(s.notifier.Reloading("Reloading: "+why, within))
}

func (s *Server) tellReloaded(err error) {
	if s.reloads.Add(-1) > 0 || s.ending.Load() {
		return
	}
	status := s.serving()
	if err != nil {
		status = "The reload failed, the old workers go on: " + err.Error()
	}
	s.tell(s.notifier.Ready(status))
}

// tellStopping says that the server ends, and grants it the grace, and the workers their time to shut down.
func (s *Server) tellStopping(err error) {
	s.ending.Store(true)
	status := "Stopping"
	if err != nil {
		status += ": " + err.Error()
	}
	s.tell(s.notifier.Stopping(status, s.cfg.TimeoutGracefulShutdown+managerSlack))
}

// vigil sends signs of life, twice in the time the manager grants, for as long as every reactor answers: with one that hangs
// the manager is to act. It ends when end is closed.
func vigil(within time.Duration, answered func() <-chan struct{}, alive func(), end <-chan struct{}) {
	tick := time.NewTicker(max(within/2, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-answered():
			alive()
		case <-end:
			return
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// keepVigil sends signs of life to the service manager, if it wants them, until the returned function is called.
func (s *Server) keepVigil() (stop func()) {
	end := make(chan struct{})
	var once sync.Once
	if s.manager.Watchdog > 0 {
		go vigil(s.manager.Watchdog, s.answered, func() { s.tell(s.notifier.Alive()) }, end) // ends by stop
	}
	return func() { once.Do(func() { close(end) }) }
}

// answered asks every reactor for an answer. The channel is closed when all have given it.
func (s *Server) answered() <-chan struct{} {
	all := make(chan struct{})
	if len(s.stations) == 0 {
		close(all)
	}
	left := new(atomic.Int32)
	left.Store(int32(len(s.stations)))
	s.onAll(func(*station) {
		if left.Add(-1) == 0 {
			close(all)
		}
	})
	return all
}
