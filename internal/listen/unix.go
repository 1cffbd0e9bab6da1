package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Access is who may connect to a unix socket.
type Access struct {
	Permissions uint32 // 0: as the umask has it
	Owner       *Owner // nil: whoever runs the server
}

// Owner is a user and a group by their numbers; -1 leaves the one that is there.
type Owner struct{ UID, GID int }

// Unix listens on a unix socket. A socket that is there already is replaced if nobody listens on it. A path that begins with @ is
// an abstract name (Linux), which no file stands for: it has no owner and no permissions.
//
// A client can connect only to a socket that listens, so the file gets its owner and then its permissions between bind and
// listen; until then it is its maker's alone. The folder is locked meanwhile: another server, which starts at the same time,
// would take a socket that does not yet listen for one that is left over.
func Unix(path string, a Access, backlog int) (*Socket, error) {
	if err := checkLength(path); err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "@") {
		return listenAbstract(path, backlog)
	}
	defer lock(filepath.Dir(path))()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	s, err := bindUnix(path, a)
	if err != nil {
		return nil, err
	}
	if err := unix.Listen(s.FD, backlog); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// checkLength refuses a path that a socket's address has no room for: with its end, it has to fit sun_path.
func checkLength(path string) error {
	room := len(unix.RawSockaddrUnix{}.Path) - 1
	if len(path) <= room {
		return nil
	}
	return &Error{
		Problem: fmt.Sprintf("the path of a unix socket has %d bytes at most, this one has %d", room, len(path)),
		Advice:  "choose a shorter path, such as one below /run; a relative path counts as it is written",
		Err:     unix.ENAMETOOLONG,
	}
}

func listenAbstract(name string, backlog int) (*Socket, error) {
	if runtime.GOOS != "linux" {
		return nil, &Error{Problem: "only Linux has abstract unix sockets", Advice: "for a file of this name write `unix:./" + name + "`"}
	}
	fd, err := socket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	if err := bindListen(fd, &unix.SockaddrUnix{Name: name}, backlog); err != nil {
		return nil, err
	}
	return &Socket{FD: fd, Path: name}, nil
}

// private is what a socket's file may be used for before it has its owner: its maker may write.
const private = 0o600

// bindUnix makes the socket and its file, which does not listen yet.
func bindUnix(path string, a Access) (*Socket, error) {
	fd, err := socket(unix.AF_UNIX, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	if a.Permissions != 0 {
		_ = unix.Fchmod(fd, private) // on Linux the file begins with these
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	s := &Socket{FD: fd, Path: path, file: identify(path)}
	if err := settle(path, a); err != nil {
		s.Close()
		return nil, explainOwner(err, a)
	}
	return s, nil
}

// explainOwner says why a file can't be given away.
func explainOwner(err error, a Access) error {
	if a.Owner == nil || !errors.Is(err, unix.EPERM) {
		return err
	}
	return &Error{
		Problem: fmt.Sprintf("can't give the socket to %s: %v", a.Owner, unix.EPERM),
		Advice:  "only root may give it to another user, others only to a group they are in: `--uds-owner :GROUP`",
		Err:     err,
	}
}

func (o *Owner) String() string {
	var parts []string
	if o.UID >= 0 {
		parts = append(parts, fmt.Sprintf("user %d", o.UID))
	}
	if o.GID >= 0 {
		parts = append(parts, fmt.Sprintf("group %d", o.GID))
	}
	return strings.Join(parts, " and ")
}

// removeStale removes a socket that nobody listens on. Its inode is looked at again before that: it may have been replaced by a
// server that does not lock.
func removeStale(path string) error {
	before, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there; bind will find out about the rest
	}
	if before.Mode().Type() != fs.ModeSocket {
		return &Error{
			Problem: "there is something else: " + kind(before.Mode()),
			Advice:  fmt.Sprintf("remove `%s` if it is not needed, or choose another path", path),
			Err:     unix.EADDRINUSE,
		}
	}
	switch err := dial(path); {
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE): // the last: a socket of another type
		return unix.EADDRINUSE
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EACCES):
		return foreign(path, "it may not be asked whether anybody listens", err)
	case !errors.Is(err, unix.ECONNREFUSED):
		return err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(before, now) {
		return nil // bind will see what there is now
	}
	err = unix.Unlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return foreign(path, "nobody listens on it, but it may not be removed", err)
	}
	return err
}

// foreign is a socket that somebody else has left or listens on.
func foreign(path, why string, err error) error {
	return &Error{
		Problem: "there is a socket of another user: " + why,
		Advice:  fmt.Sprintf("remove `%s` as its owner, or choose another path", path),
		Err:     err,
	}
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a file"
	case m.IsDir():
		return "a folder"
	case m.Type() == fs.ModeSymlink:
		return "a symbolic link"
	case m.Type() == fs.ModeNamedPipe:
		return "a named pipe"
	}
	return "a device"
}

// dial connects to a socket, if anybody listens.
func dial(path string) error {
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// fileID tells one file from another for as long as it is open.
type fileID struct{ dev, ino uint64 }

func identify(path string) fileID {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return fileID{}
	}
	return fileID{uint64(st.Dev), st.Ino}
}

// Waiting for a folder that another server has locked: binding takes it less than a millisecond.
const (
	lockTime  = 2 * time.Second
	lockPause = 2 * time.Millisecond
)

// lock keeps other servers from binding in a folder until the returned function is called. A folder that can't be locked, or not
// in time, is done without: anybody who may read it can hold the lock for ever.
func lock(dir string) (unlock func()) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockTime); time.Now().Before(end); time.Sleep(lockPause) {
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
	}
	return func() { _ = unix.Close(fd) } // and with it the lock
}
