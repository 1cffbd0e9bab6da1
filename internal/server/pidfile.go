package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/upgrade"
)

// pidFile is the file that names the server's process. It is claimed, empty and locked, while the server may still be root, and
// written when the server is ready: by then it may no longer create a file there. A nil pidFile is none.
type pidFile struct {
	path   string
	file   *os.File
	ending sync.Once
}

// pidTries is how often a file that another server removes at the same moment is opened anew.
const pidTries = 5

// claimPID opens and locks the file, and refuses one that names a process that is running. That of a server that this one replaces
// is open and locked.
func claimPID(path string, owner *identity, legacy *upgrade.Inheritance) (*pidFile, error) {
	if path == "" {
		return nil, nil
	}
	if file, ok := legacy.TakePIDFile(path); ok {
		return &pidFile{path: path, file: file}, nil
	}
	for range pidTries {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
		if err != nil {
			return nil, pidFault(path, err)
		}
		err = takePID(file, owner)
		if err == nil && sameFile(path, file) {
			return &pidFile{path: path, file: file}, nil
		}
		_ = file.Close()
		if err != nil {
			return nil, pidFault(path, err)
		}
	}
	return nil, pidFault(path, errors.New("it is replaced again and again"))
}

func pidFault(path string, err error) error {
	f := &fault.Fault{Problem: fmt.Sprintf("can't write the pid file `%s`: %v", path, reason(err)), Code: fault.Runtime, Cause: err}
	if h, ok := errors.AsType[*fault.Fault](err); ok {
		f.Hint = h.Hint
	}
	return f
}

// reason strips the operation and the path, which are said already.
func reason(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

// maxPID is more than an id takes.
const maxPID = 32

// takePID makes an open file ours, if it names nobody who is running.
func takePID(file *os.File, owner *identity) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return fault.Usagef("another server has it").WithHint("give each server a file of its own")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxPID))
	if err != nil {
		return err
	}
	if err := checkPID(string(content)); err != nil {
		return err
	}
	if owner != nil {
		if err := file.Chown(owner.uid, owner.gid); err != nil {
			return err
		}
	}
	return file.Truncate(0)
}

// checkPID refuses what must not be overwritten. Our own id is that of an earlier server: in a container it is always the same.
func checkPID(content string) error {
	text := strings.TrimSpace(content)
	if text == "" {
		return nil
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return fault.Usagef("it holds something that is no process id").WithHint("remove it if it is not needed, or name another file")
	}
	if pid == os.Getpid() {
		return nil
	}
	if err := syscall.Kill(pid, 0); err == nil || errors.Is(err, syscall.EPERM) {
		return fault.Usagef("process %d, which it names, is running", pid).WithHint("stop it, or name another file")
	}
	return nil
}

// sameFile tells whether path still names an open file.
func sameFile(path string, file *os.File) bool {
	there, err := os.Lstat(path)
	if err != nil {
		return false
	}
	here, err := file.Stat()
	return err == nil && os.SameFile(there, here)
}

// write writes our id.
func (p *pidFile) write() error {
	if p == nil {
		return nil
	}
	if err := p.file.Truncate(0); err != nil {
		return pidFault(p.path, err)
	}
	if _, err := p.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return pidFault(p.path, err)
	}
	return nil
}

// remove removes the file, if path still names it; if that may not be done, it is emptied at least.
func (p *pidFile) remove() {
	if p == nil {
		return
	}
	p.ending.Do(func() {
		defer p.file.Close()
		if p.others() {
			return
		}
		if !sameFile(p.path, p.file) || os.Remove(p.path) != nil {
			_ = p.file.Truncate(0)
		}
	})
}

// others tells whether the file names another process by now: the server that has replaced this one.
func (p *pidFile) others() bool {
	content := make([]byte, maxPID)
	n, _ := p.file.ReadAt(content, 0)
	text := strings.TrimSpace(string(content[:n]))
	return text != "" && text != strconv.Itoa(os.Getpid())
}
