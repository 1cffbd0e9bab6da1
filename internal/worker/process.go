// Package worker is one Python process: how it is found and started, what it says on its control socket, where its output goes,
// and how it is ended. What runs on it, and when there is another, is the pool's business.
//
// A worker has a process group of its own, so that what it forked ends with it. It is never waited for on a reactor.
package worker

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/wire"
)

// Spec is what a worker is started with.
type Spec struct {
	Setup       Setup
	Python      Interpreter
	Version     string   // of awaitd; the worker's own must be the same
	Environ     []string // added to ours
	Dir         string
	Out         io.Writer // where its lines go
	Prefix      string    // before each line
	Log         *slog.Logger
	Reaper      *Reaper
	Descriptors *Descriptors // where those go that it passes; the caller closes them
	// Loops are the worker's loops, each with one link for every endpoint, in the order of Setup.Loops.
	Loops []Loop
	// Client makes the worker's way to the HTTP client: its end of a socket. nil: it has none.
	Client func() (*os.File, error)
	// Zygote is what forks the worker; nil: it is started.
	Zygote *Zygote

	forked chan forked // of a zygote: what it says; nil for a worker
}

// Loop is one worker loop: its doorbell and its links.
type Loop struct {
	Bell  *wire.Bell
	Links []*wire.Link
}

// Process is a running worker. Its channels tell of its life: Ready is closed when the application may be given requests,
// Drained when it has finished everything, Done when it has ended.
type Process struct {
	Ready   chan struct{}
	Drained chan struct{}
	Done    chan struct{}

	spec    Spec
	child   child
	control *control
	output  sync.WaitGroup
	early   early // its output, held back until it says hello
	stacks  stacks
	mailbox *listen.Mailbox // of a program, for what it notifies; nil for an application

	mu       sync.Mutex
	state    State
	info     Info
	report   *Report
	problem  *fault.Fault
	killed   string // why we ended it
	gone     bool   // it has ended: its id may be another's soon
	notified bool   // a program has said something of itself
	said     string // the last line of it
	status   status
}

// sourceTree is the version of a package that was never installed; the wire version has to do.
const sourceTree = "dev"

// Start starts a worker. It returns as soon as the process exists.
func Start(spec Spec) (*Process, error) {
	c, theirs, err := newControl()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	p := &Process{
		Ready: make(chan struct{}), Drained: make(chan struct{}), Done: make(chan struct{}),
		spec: spec, control: c, early: early{w: spec.Out},
	}
	if err = p.openMailbox(); err == nil {
		err = p.launch(theirs)
	}
	if err != nil {
		p.closeMailbox()
		c.close()
		return nil, err
	}
	heard := make(chan struct{})
	go p.listen(heard) // ends when the worker's end of the control socket is closed
	go p.wait(heard)   // ends with the process
	return p, nil
}

// launch makes the process, with theirs as its control socket.
func (p *Process) launch(theirs *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	stacks, theirStacks, err := os.Pipe()
	if err != nil {
		_ = r.Close()
		return err
	}
	defer theirStacks.Close()
	if p.child, err = p.bear([3]*os.File{theirs, w, theirStacks}); err != nil {
		_ = r.Close()
		_ = stacks.Close()
		return err
	}
	p.stacks.r = stacks
	p.output.Go(func() { // ends when the last process that has the pipe closes it, or when wait gives up on that
		copyLines(&p.early, p.spec.Prefix, r)
		_ = r.Close()
	})
	return nil
}

// bear forks the process off its zygote, or runs the interpreter.
func (p *Process) bear(ends [3]*os.File) (child, error) {
	if p.spec.Zygote != nil {
		pid, err := p.spec.Zygote.fork(ends)
		return child{pid: pid}, err
	}
	in, environ, err := p.bequeath(ends[0], ends[2])
	if err != nil {
		return child{}, err
	}
	defer in.close()
	cmd := exec.Command(p.spec.Python.Path, append(p.spec.Python.arguments(), p.command()...)...)
	cmd.Dir = p.spec.Dir
	cmd.Env = append(append(os.Environ(), p.spec.Environ...), p.spec.Python.environ()...)
	cmd.Env = append(cmd.Env, environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = in.files
	cmd.Stdout, cmd.Stderr = ends[1], ends[1]
	if err := p.spec.Reaper.start(cmd); err != nil {
		return child{}, fault.BadInterpreter(p.spec.Python.Path, err)
	}
	return child{cmd.Process.Pid, cmd}, nil
}

// listen acts on what the worker says.
func (p *Process) listen(heard chan<- struct{}) {
	defer close(heard)
	for {
		m, err := p.control.receive()
		if err != nil {
			if !errors.Is(err, io.EOF) && !isReset(err) {
				p.Kill("its control socket: " + err.Error())
			}
			return
		}
		err = p.hear(m)
		m.Close() // what belongs to no message
		if err != nil {
			if v, ok := errors.AsType[wire.Violation](err); ok {
				p.spec.Log.Error("a worker broke the rules of the wire and is killed", "worker", p.spec.Setup.Name, "error", v)
			}
			p.Kill(err.Error())
			return
		}
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF)
}

// hear acts on one message.
func (p *Process) hear(m *said) error {
	if p.spec.forked != nil {
		return p.hearZygote(m)
	}
	switch m.Type {
	case "hello":
		return p.hearHello(&m.hello)
	case "ready":
		if !p.enter(saidReady) {
			return errors.New("it said ready out of turn")
		}
		p.mu.Lock()
		p.info.Interface, p.info.Loop, p.info.Lifespan = m.Interface, m.Loop, m.Lifespan
		p.mu.Unlock()
		close(p.Ready)
	case "failed":
		p.hearFailed(m)
	case "drained":
		if p.State() == Draining {
			p.drained()
		}
	case "descriptor":
		return p.hearDescriptor(m)
	}
	return nil
}

// hearFailed notes why it will exit.
func (p *Process) hearFailed(m *said) {
	report := m.Report
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report = &report
}

// hearDescriptor hands on a descriptor that the worker passed.
func (p *Process) hearDescriptor(m *said) error {
	switch {
	case len(m.Descriptors) > 1:
		return wire.Violation("a message with several descriptors")
	case len(m.Descriptors) == 1:
		fd := m.Descriptors[0]
		m.Descriptors = nil
		return p.spec.Descriptors.Put(m.Token, Passed(fd))
	case m.Lost: // this process has no descriptor free
		return p.spec.Descriptors.Put(m.Token, -1)
	}
	return wire.Violation("a descriptor message without a descriptor")
}

func (p *Process) drained() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.Drained:
	default:
		close(p.Drained)
	}
}

// hearHello checks the versions and sends the setup.
func (p *Process) hearHello(h *hello) error {
	if !p.enter(saidHello) {
		return errors.New("it said hello twice")
	}
	p.early.Open()
	p.mu.Lock()
	p.info.Python = h.Python
	switch {
	case h.Wire != wire.Version:
		p.problem = fault.WireMismatch(p.spec.Python.Path, h.Wire, wire.Version)
	case h.Awaitd != p.spec.Version && h.Awaitd != sourceTree:
		p.problem = fault.NoPackage(p.spec.Python.Path, p.spec.Version)
	}
	wrong := p.problem
	p.mu.Unlock()
	if wrong != nil {
		return wrong
	}
	if err := p.sendSetup(); err != nil {
		return err
	}
	p.beginProgram()
	return nil
}

// sendSetup gives the worker its task and its links.
func (p *Process) sendSetup() error {
	s := p.spec.Setup
	s.Type, s.Wire = "setup", wire.Version
	switch {
	case p.spec.forked != nil:
		s.Type = "preload"
	case p.program() != nil:
		s.Type = "run"
	}
	s.Loops = nil
	var descriptors []int
	for _, loop := range p.spec.Loops {
		descriptors = append(descriptors, loop.Bell.Wait())
		var links []SetupLink
		for _, l := range loop.Links {
			descriptors = append(descriptors, l.Descriptors()...)
			links = append(links, SetupLink{RingSize: l.Size()})
		}
		s.Loops = append(s.Loops, SetupLoop{Links: links})
	}
	if p.spec.Client != nil && s.Type != "preload" {
		socket, err := p.spec.Client()
		if err != nil {
			return err
		}
		defer socket.Close()
		s.Client, descriptors = true, append(descriptors, int(socket.Fd()))
	}
	if err := p.control.Send(s, descriptors); err != nil {
		return err
	}
	for _, loop := range p.spec.Loops {
		for _, l := range loop.Links {
			l.Sent()
		}
	}
	return nil
}

// outputGrace is how long the output of an ended worker is waited for: a child that left its process group may hold the pipe.
const outputGrace = 500 * time.Millisecond

// wait notes how the process ended, and ends its process group.
func (p *Process) wait(heard <-chan struct{}) {
	awaitExit(p.PID())
	p.mu.Lock()
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // its id is its own until it is reaped
	p.gone = true
	p.mu.Unlock()
	how := p.child.wait()
	p.spec.Reaper.ended(p.PID())
	_ = p.control.SetReadDeadline(time.Now().Add(outputGrace)) // a child may hold the other end
	<-heard
	flushed := make(chan struct{})
	go func() { // ends with the output
		p.output.Wait()
		close(flushed)
	}()
	select {
	case <-flushed:
	case <-time.After(outputGrace):
	}
	p.control.close()
	p.closeMailbox()
	_ = p.stacks.r.Close()
	p.mu.Lock()
	p.status = how
	e := p.end(how)
	p.mu.Unlock()
	p.enter(e)
	close(p.Done)
}

// State returns the worker's state.
func (p *Process) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Info returns what the worker said of itself; complete once Ready is closed.
func (p *Process) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info
}

// PID returns the process id.
func (p *Process) PID() int { return p.child.pid }

// Drain tells the worker that nothing new will come. A program is asked to end, in whatever state it is.
func (p *Process) Drain() {
	if p.program() != nil {
		p.enter(toldToEnd)
		p.signal(syscall.SIGTERM)
		return
	}
	if p.enter(toldToEnd) {
		_ = p.control.simple("drain")
	}
}

// Stop has the worker run the lifespan shutdown and exit. What still runs in it is cancelled. A program, which was asked to end by
// Drain, is killed.
func (p *Process) Stop() {
	if p.program() != nil {
		p.Kill("it did not end within the grace")
		return
	}
	p.enter(toldToEnd)
	_ = p.control.simple("stop")
}

// Kill ends the worker and its process group at once. The first reason given counts.
func (p *Process) Kill(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return
	}
	if p.killed == "" {
		p.killed = reason
	}
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
}
