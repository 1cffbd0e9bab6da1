package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The names of the sockets in a user's folder: awaitd-<pid>.sock.
const (
	prefix = "awaitd-"
	suffix = ".sock"
)

// folders returns where a user's sockets may be, the best place first.
func folders(runtimeDir string, uid int) []string {
	number := strconv.Itoa(uid)
	var all []string
	if filepath.IsAbs(runtimeDir) {
		all = append(all, runtimeDir)
	}
	return append(all, "/run/user/"+number, filepath.Join(os.TempDir(), "awaitd-"+number))
}

// Default returns the path of this process's control socket: in XDG_RUNTIME_DIR, in /run/user, or in a folder of the user's own
// below the one for temporary files. Sockets of servers that were killed are removed there.
func Default(runtimeDir string) (string, error) {
	all := folders(runtimeDir, os.Geteuid())
	var wrong error
	for i, dir := range all {
		if i == len(all)-1 {
			_ = os.Mkdir(dir, 0o700) // the others are the system's to make
		}
		if wrong = private(dir); wrong == nil {
			sweep(dir)
			return filepath.Join(dir, prefix+strconv.Itoa(os.Getpid())+suffix), nil
		}
	}
	return "", wrong
}

// private tells what keeps a folder from being its user's alone: in any other one somebody else could put a socket of his.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return &fs.PathError{Op: "use", Path: dir, Err: errors.New("not a folder of this user's alone")}
	}
	return nil
}

// sweep removes sockets of processes that are gone.
func sweep(dir string) {
	for _, path := range sockets(dir) {
		if err := syscall.Kill(pidOf(path), 0); errors.Is(err, syscall.ESRCH) {
			_ = os.Remove(path)
		}
	}
}

// sockets lists the control sockets in a folder.
func sockets(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var paths []string
	for _, e := range entries {
		if e.Type() == fs.ModeSocket && pidOf(e.Name()) > 0 {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// pidOf returns the id in a socket's name; 0 if it has none.
func pidOf(path string) int {
	name, isSocket := strings.CutSuffix(filepath.Base(path), suffix)
	digits, ours := strings.CutPrefix(name, prefix)
	pid, err := strconv.Atoi(digits)
	if !isSocket || !ours || err != nil {
		return 0
	}
	return pid
}

// Found is a server that runs.
type Found struct {
	Path   string
	Status *Status
}

// Find returns this user's servers that answer.
func Find(runtimeDir string) []Found {
	var all []Found
	for _, dir := range folders(runtimeDir, os.Geteuid()) {
		if private(dir) != nil {
			continue
		}
		for _, path := range sockets(dir) {
			if r, err := Ask(path, Request{Command: CommandStatus}); err == nil && r.Status != nil && !known(all, r.Status.PID) {
				all = append(all, Found{path, r.Status})
			}
		}
	}
	return all
}

// known tells whether a server was found already: XDG_RUNTIME_DIR mostly is the one in /run/user.
func known(all []Found, pid int) bool {
	for _, f := range all {
		if f.Status.PID == pid {
			return true
		}
	}
	return false
}
