package server

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/pool"
)

// run starts everything, serves, and ends it.
func (s *Server) run(ctx context.Context) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGUSR2)
	defer signal.Stop(signals)
	reserveThreads(spareThreads)
	for _, st := range s.stations {
		s.running.Go(st.reactor.Run) // ends by close
	}
	s.tellStarting()
	started := make(chan error, 1)
	go func() { started <- s.pool.Start() }() // ends when the pool is ready, or stopped
	if err, ended := s.await(ctx, signals, started); ended || err != nil {
		s.tellStopping(err)
		s.force(signals)
		s.pool.Stop(s.startGrace())
		return err
	}
	if err := errors.Join(s.accept(), s.pidFile.write(), s.takeOver()); err != nil {
		s.tellStopping(err)
		s.pool.Stop(0)
		return err
	}
	s.phase.Store(serving)
	s.sayReady()
	s.tellReady()
	stopVigil := s.keepVigil()
	defer stopVigil()
	watcher := s.watch()
	err := s.serve(ctx, signals, watcher)
	watcher.stop()
	if s.phase.Load() == replaced {
		stopVigil()
		s.retire(signals)
		return nil
	}
	s.next.Kill()
	s.tellStopping(err)
	s.shutDown(signals)
	return err
}

// await waits until the workers are ready. ended says that a signal came first.
func (s *Server) await(ctx context.Context, signals <-chan os.Signal, started <-chan error) (err error, ended bool) {
	for {
		select {
		case err := <-started:
			if errors.Is(err, pool.ErrFinished) {
				return nil, true
			}
			return err, false
		case sig := <-signals:
			if ends(sig) {
				return nil, true
			}
			s.log.Warn("a signal is not heeded: the server is not ready yet", "signal", sig)
		case <-s.asked:
			return nil, true
		case <-ctx.Done():
			return nil, true
		}
	}
}

// serve waits until a signal, or a failure, ends the server; meanwhile it reloads when asked.
func (s *Server) serve(ctx context.Context, signals <-chan os.Signal, w *watcher) error {
	for {
		select {
		case sig := <-signals:
			if ends(sig) {
				return nil
			}
			s.act(sig)
		case <-s.asked:
			return nil
		case <-s.successorReady():
			if s.handOver() {
				return nil
			}
		case <-s.successorGone():
			s.upgradeFailed()
		case changed := <-w.changes:
			go func() { _ = s.reload(changed) }()
		case err := <-s.pool.Fatal():
			if errors.Is(err, pool.ErrFinished) {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// ends tells whether a signal ends the server; the others ask for something, and only while it serves.
func ends(sig os.Signal) bool {
	return sig == syscall.SIGINT || sig == syscall.SIGTERM || sig == syscall.SIGQUIT
}

// act does what a signal asks for. The goroutines end with what they do, or with the pool.
func (s *Server) act(sig os.Signal) {
	switch sig {
	case syscall.SIGHUP:
		go func() { _ = s.reload("SIGHUP") }()
	case syscall.SIGUSR2:
		s.upgrade()
	case syscall.SIGTTIN:
		go s.grow()
	case syscall.SIGTTOU:
		go s.shrink()
	}
}

// grow adds a worker.
func (s *Server) grow() {
	name, err := s.pool.Grow()
	if err != nil {
		s.log.Error("no worker was added", "because", err)
		s.showTrace(err)
		return
	}
	s.log.Info("a worker was added", "worker", name, "because", "SIGTTIN")
}

// shrink retires a worker.
func (s *Server) shrink() {
	name, err := s.pool.Shrink()
	if err != nil {
		s.log.Warn("no worker was retired", "because", err)
		return
	}
	s.log.Info("a worker was retired", "worker", name, "because", "SIGTTOU")
}

// reload replaces the workers; the connections do not notice.
func (s *Server) reload(why string) error {
	s.log.Info("reloading", "because", why)
	s.tellReloading(why)
	begun := time.Now()
	err := s.pool.Reload()
	s.tellReloaded(err)
	if err == nil {
		s.log.Info("reloaded", "after", time.Since(begun).Round(time.Millisecond))
		return nil
	}
	s.log.Error("the reload failed; the old workers stay", "error", err)
	s.showTrace(err)
	return err
}

// showTrace shows the application's own traceback, if there is one.
func (s *Server) showTrace(err error) {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Trace != "" {
		_, _ = s.said.Write([]byte(f.Trace))
	}
}

// shutDown ends the server in good order: nothing new is accepted, what runs is finished within the grace, then what is left
// is cut off, and the workers stop. A second signal cuts at once.
func (s *Server) shutDown(signals <-chan os.Signal) {
	s.phase.Store(stopping)
	s.log.Info("stopping")
	s.force(signals)
	end := time.Now().Add(s.cfg.TimeoutGracefulShutdown)
	s.refuse()
	s.finish(s.drain(house.Drain), end)
}

// finish waits for the connections until the grace is over, then cuts off what is left, and stops the workers.
func (s *Server) finish(idle <-chan struct{}, end time.Time) {
	select {
	case <-idle:
	case <-time.After(time.Until(end)):
		s.log.Warn("the grace is over; cutting off what is left")
		s.pool.Refuse()
		s.onAllHouses(house.Abort)
		<-idle
	}
	s.pool.Stop(time.Until(end))
}

// force has the next signal end everything at once. Its goroutine ends with the process.
func (s *Server) force(signals <-chan os.Signal) {
	go func() {
		for sig := range signals {
			if ends(sig) {
				s.log.Warn("stopping at once")
				s.pool.Kill()
				s.closeSockets()
				s.closeControl()
				s.pidFile.remove()
				s.lines.Close()
				os.Exit(fault.Runtime)
			}
			s.log.Warn("a signal is not heeded: the server ends", "signal", sig)
		}
	}()
}

// refuse ends the listeners: who connects from now on is refused.
func (s *Server) refuse() {
	var ended sync.WaitGroup
	ended.Add(len(s.stations))
	s.onAll(func(st *station) {
		for _, stop := range st.stops {
			stop()
		}
		ended.Done()
	})
	ended.Wait()
	if s.program == nil { // else they are passed on for as long as a process may be started, and whoever has them accepts
		s.closeSockets()
	}
}

// drain has the connections let go, in the way that begin begins. The channel is closed when none is left.
func (s *Server) drain(begin func(house, func())) <-chan struct{} {
	var begun, left sync.WaitGroup
	begun.Add(len(s.stations))
	for _, st := range s.stations {
		left.Add(len(st.houses()))
	}
	s.onAll(func(st *station) {
		defer begun.Done()
		for _, h := range st.houses() {
			begin(h, left.Done)
		}
	})
	begun.Wait()
	idle := make(chan struct{})
	go func() { // ends when the last connection does
		left.Wait()
		close(idle)
	}()
	return idle
}

// onAllHouses runs f on the connections of every reactor.
func (s *Server) onAllHouses(f func(house)) {
	s.onAll(func(st *station) {
		for _, h := range st.houses() {
			f(h)
		}
	})
}

// onAll runs f on every reactor.
func (s *Server) onAll(f func(*station)) {
	for _, st := range s.stations {
		st.reactor.Post(func() { f(st) })
	}
}
