package worker

import (
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/systemd"
)

// Program is what a process runs in place of an application: a script or a module with a main of its own, which accepts from its
// sockets itself. It knows the conventions of service managers and nothing of the control socket, at which awaitd's part of its
// process speaks for it until it begins: sockets as in sd_listen_fds(3), readiness and stopping as in sd_notify(3), SIGTERM.
type Program struct {
	Module bool     `json:"module"` // else a script
	Names  []string `json:"names"`  // of the sockets, in their order

	Command []string `json:"-"` // the script or module, and its arguments: whatever bytes they are
	Sockets []int    `json:"-"` // descriptors, which stay the caller's
	// ReadyAfter is how long it has to stay alive to be taken for ready, unless it says that it is; 0: only its word counts.
	ReadyAfter time.Duration `json:"-"`
}

const (
	// firstFD is the first descriptor behind the standard ones, from which sockets are passed (SD_LISTEN_FDS_START).
	firstFD = 3
	// programKind is what a program is in place of an application's interface.
	programKind = "program"
)

// program returns what the process runs in place of an application; nil if it runs one.
func (p *Process) program() *Program { return p.spec.Setup.Program }

// command returns what stands behind the interpreter's own arguments.
func (p *Process) command() []string {
	if program := p.program(); program != nil {
		return program.Command
	}
	return nil
}

// inheritance is what a new process is given besides the standard descriptors: a program's sockets, its control socket, its stacks.
type inheritance struct {
	files  []*os.File
	copies []*os.File // of these, those to be closed when it has them
}

// bequeath makes the inheritance and the variables that tell of it.
func (p *Process) bequeath(control, stacks *os.File) (in inheritance, environ []string, err error) {
	if program := p.program(); program != nil {
		for _, fd := range program.Sockets {
			made, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
			if err != nil {
				in.close()
				return in, nil, os.NewSyscallError("dup", err)
			}
			in.copies = append(in.copies, os.NewFile(uintptr(made), "socket"))
		}
		environ = append(environ, "NOTIFY_SOCKET="+p.mailbox.Name)
	}
	in.files = append(in.files, in.copies...)
	next := firstFD + len(in.files)
	in.files = append(in.files, control, stacks)
	return in, append(environ, "AWAITD_CONTROL_FD="+strconv.Itoa(next), "AWAITD_STACK_FD="+strconv.Itoa(next+1)), nil
}

func (in inheritance) close() {
	for _, f := range in.copies {
		_ = f.Close()
	}
}

// openMailbox opens what a program notifies at; an application needs none.
func (p *Process) openMailbox() (err error) {
	if p.program() != nil {
		p.mailbox, err = listen.NewMailbox()
	}
	return err
}

func (p *Process) closeMailbox() {
	if p.mailbox != nil {
		p.mailbox.Close()
	}
}

// beginProgram is called when the program begins: from now on it is expected to be ready.
func (p *Process) beginProgram() {
	program := p.program()
	if program == nil {
		return
	}
	p.mu.Lock()
	p.info.Interface = programKind
	p.mu.Unlock()
	go p.hearProgram() // ends with the process
	if program.ReadyAfter > 0 {
		time.AfterFunc(program.ReadyAfter, func() {
			p.mu.Lock()
			silent := !p.notified && !p.gone
			p.mu.Unlock()
			if silent {
				p.programReady()
			}
		})
	}
}

// programReady takes the program for ready, unless it is already, or ended.
func (p *Process) programReady() {
	if p.enter(saidReady) {
		close(p.Ready)
	}
}

// hearProgram acts on what the program notifies, and its children: others may know the mailbox's name, but have no say.
func (p *Process) hearProgram() {
	var strangers sync.Once // they are mentioned once: they could fill the log
	for {
		word, from, err := p.mailbox.Receive()
		if err != nil {
			return
		}
		if !p.isOwn(from) {
			strangers.Do(func() {
				p.spec.Log.Warn("notifications of another process are not heeded", "worker", p.spec.Setup.Name, "pid", from.PID)
			})
			continue
		}
		n := systemd.ParseNotification(string(word))
		p.mu.Lock()
		p.notified = true
		if n.Status != "" {
			p.said = n.Status
		}
		p.mu.Unlock()
		if n.Ready {
			p.programReady()
		}
		if n.Stopping {
			p.enter(toldToEnd) // by itself
		}
	}
}

// isOwn says whether a process is the program's: of its process group. A helper that is gone by now counts if it was this user's.
func (p *Process) isOwn(from listen.Sender) bool {
	if from.PID == 0 {
		return true
	}
	group, err := unix.Getpgid(from.PID)
	return group == p.PID() || err != nil && from.UID == os.Geteuid()
}

// Said is what a program last said of itself, in a line; empty if nothing.
func (p *Process) Said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said
}

// end returns how a process ended, as an event. The process must be locked.
func (p *Process) end(how status) event {
	program := p.program() != nil
	switch {
	case p.killed != "" || p.report != nil:
	case program && how.finished():
		return finished
	case program && p.state == Booting && how.err == nil && how.wait.Exited():
		p.problem = fault.Ended(p.spec.Setup.Target, how.String()) // it would end the same way again
	case !program && how.clean():
		return endedWell
	}
	return endedOtherwise
}

// finished says whether a program has ended because it had nothing more to do, or because somebody asked it to: what systemd does
// not restart with Restart=on-failure.
func (s status) finished() bool {
	if s.clean() {
		return true
	}
	if s.err != nil || !s.wait.Signaled() {
		return false
	}
	switch s.wait.Signal() {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE:
		return true
	}
	return false
}
