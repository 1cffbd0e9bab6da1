package upgrade

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is what a new process is started with.
type Spec struct {
	Path           string
	Args           []string // without the program's name
	Dir            string
	Environ        []string
	Stdout, Stderr io.Writer
	Give           Inheritance // with this process's descriptors, which stay open
	Within         time.Duration
	// Run starts a command, and returns what waits for its end.
	Run func(*exec.Cmd) (wait func() error, err error)
}

// Successor is a new process. Ready is closed when it serves, Done when it has ended.
type Successor struct {
	Ready chan struct{}
	Done  chan struct{}

	link    net.Conn
	process *os.Process
	end     error // how it ended, once Done is closed

	mu     sync.Mutex
	reason string // for which it was killed
}

// Start starts a new process. The caller waits for Ready or Done.
func Start(spec Spec) (*Successor, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(pair[0])
	unix.CloseOnExec(pair[1])
	link, err := connection(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "link")
	defer theirs.Close()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Dir, os.Stdin, spec.Stdout, spec.Stderr
	files, err := pack(cmd, spec.Give, theirs)
	defer closeAll(files)
	if err == nil {
		cmd.Env = append(spec.Environ, cmd.Env...)
		var wait func() error
		if wait, err = spec.Run(cmd); err == nil {
			s := &Successor{Ready: make(chan struct{}), Done: make(chan struct{}), link: link, process: cmd.Process}
			go s.wait(wait)          // ends with the process
			go s.listen(spec.Within) // ends with its word, or with the process
			return s, nil
		}
	}
	_ = link.Close()
	return nil, err
}

// pack gives a command its inheritance: the files, of which it returns those to be closed, and the variable.
func pack(cmd *exec.Cmd, give Inheritance, link *os.File) (files []*os.File, err error) {
	add := func(f *os.File) int {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		return firstFD + len(cmd.ExtraFiles) - 1
	}
	copyOf := func(fd int) int {
		made, fault := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstFD)
		if fault != nil {
			err = os.NewSyscallError("dup", fault)
			return -1
		}
		f := os.NewFile(uintptr(made), "inherited")
		files = append(files, f)
		return add(f)
	}
	given := Inheritance{Link: add(link), Passed: give.Passed}
	for _, s := range give.Sockets {
		s.FD = copyOf(s.FD)
		given.Sockets = append(given.Sockets, s)
	}
	if give.PIDFile != nil {
		given.PIDFile = &File{give.PIDFile.Path, copyOf(give.PIDFile.FD)}
	}
	if err != nil {
		return files, err
	}
	text, err := json.Marshal(given)
	cmd.Env = []string{Variable + "=" + string(text)}
	return files, err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// listen waits for the new process's word.
func (s *Successor) listen(within time.Duration) {
	switch err := expect(s.link, ready, within); {
	case err == nil:
		close(s.Ready)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.kill("it was not ready in time")
	default:
		s.kill("") // mostly it has ended, which is why nothing came
	}
}

func (s *Successor) wait(wait func() error) {
	s.end = wait()
	_ = s.link.Close()
	close(s.Done)
}

// PID returns the new process's id.
func (s *Successor) PID() int { return s.process.Pid }

// Go tells the new process that everything is its own.
func (s *Successor) Go() error {
	_ = s.link.SetWriteDeadline(time.Now().Add(goTime))
	_, err := io.WriteString(s.link, goOn)
	return err
}

// Kill ends the new process, if there is one; its workers end with it.
func (s *Successor) Kill() {
	if s != nil {
		s.kill("the server stops")
		<-s.Done
	}
}

func (s *Successor) kill(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.Signal(syscall.SIGKILL) == nil && s.reason == "" { // it knows whether the process has been waited for
		s.reason = reason
	}
}

// How tells how the new process ended, once Done is closed.
func (s *Successor) How() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.reason != "":
		return "killed: " + s.reason
	case s.end != nil:
		return s.end.Error()
	}
	return "exit status 0"
}

// Program returns the program to start: the one that is found under the name that this process was started by, which may be a new
// one by now; else the file that it runs.
func Program(name, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !strings.HasPrefix(name, "/") {
			name = dir + "/" + name
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return os.Executable()
}
