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
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// spec: protocols 11
func TestUnixListensWithItsPermissions(t *testing.T) {
	for _, want := range []fs.FileMode{0o600, 0o660, 0o777} {
		path := filepath.Join(t.TempDir(), "s")
		s, err := Unix(path, Access{Permissions: uint32(want)}, backlog)
		if err != nil {
			t.Fatal(err)
		}
		reach(t, s, "unix", path)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%v, %v", info.Mode().Perm(), err)
		}
		if s.URL() != "unix:"+path || s.Server().Family != exchange.Unix {
			t.Errorf("%s, %+v", s.URL(), s.Server())
		}
		s.Close()
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the path is left behind")
		}
	}
}

// spec: protocols 11
func TestAPathThatIsTakenAlready(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		refused bool
	}{
		{"a socket that nobody listens on is replaced", func(t *testing.T, path string) {
			s, err := Unix(path, Access{}, backlog)
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(s.FD) // as after a crash
		}, false},
		{"a live socket is refused", func(t *testing.T, path string) {
			s, err := Unix(path, Access{}, backlog)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, s)
		}, true},
		{"a regular file is refused", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a folder is refused", func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, true},
		{"a live socket with a full queue is refused", func(t *testing.T, path string) {
			s, err := Unix(path, Access{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, s)
			for {
				c, err := net.Dial("unix", path)
				if err != nil {
					break // nobody accepts, so the queue is full now
				}
				t.Cleanup(func() { _ = c.Close() })
			}
		}, true},
		{"a datagram socket that is in use is refused", func(t *testing.T, path string) { bindKind(t, path, unix.SOCK_DGRAM) }, true},
		{"a packet socket that is in use is refused", func(t *testing.T, path string) {
			fd := bindKind(t, path, unix.SOCK_SEQPACKET)
			_ = unix.Listen(fd, backlog)
		}, true},
		{"a datagram socket that is left over is replaced", func(t *testing.T, path string) {
			_ = unix.Close(bindKind(t, path, unix.SOCK_DGRAM))
		}, false},
		{"a named pipe is refused", func(t *testing.T, path string) { _ = unix.Mkfifo(path, 0o600) }, true},
		{"a symbolic link is refused", func(t *testing.T, path string) { _ = os.Symlink("/dev/null", path) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			c.prepare(t, path)
			before, _ := os.Lstat(path)
			s, err := Unix(path, Access{}, backlog)
			if !c.refused {
				if err != nil {
					t.Fatal(err)
				}
				reach(t, s, "unix", path)
				s.Close()
				return
			}
			if !errors.Is(err, unix.EADDRINUSE) {
				t.Fatalf("%v", err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Fatal("what was there is gone")
			}
		})
	}
}

// bindKind binds a socket of any kind to a path.
func bindKind(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// spec: protocols 11
func TestOfSeveralServersThatFindALeftoverOneListens(t *testing.T) {
	const servers = 4
	for range 100 {
		path := filepath.Join(t.TempDir(), "s")
		_ = unix.Close(bindKind(t, path, unix.SOCK_STREAM))
		var won []*Socket
		var mu sync.Mutex
		var all sync.WaitGroup
		for range servers {
			all.Go(func() {
				s, err := Unix(path, Access{Permissions: 0o600}, backlog)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, s)
				} else if !errors.Is(err, unix.EADDRINUSE) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d servers listen", len(won))
		}
		reach(t, won[0], "unix", path)
		won[0].Close()
	}
}

func TestAFolderThatSomebodyKeepsLockedIsDoneWithout(t *testing.T) {
	t.Parallel() // it waits for as long as the lock is waited for
	dir := t.TempDir()
	defer lock(dir)()
	s, err := Unix(filepath.Join(dir, "s"), Access{}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// spec: protocols 11
func TestWhoCanConnectFindsTheOwnerAndThePermissionsInPlace(t *testing.T) {
	want := Owner{UID: -1, GID: unix.Getgid()}
	if unix.Getuid() == 0 {
		want = Owner{UID: 65534, GID: 65534}
	}
	path := filepath.Join(t.TempDir(), "s")
	s, err := bindUnix(path, Access{Permissions: 0o620, Owner: &want})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	var st unix.Stat_t
	err = unix.Stat(path, &st)
	if err != nil || want.UID >= 0 && int(st.Uid) != want.UID || int(st.Gid) != want.GID || st.Mode&0o777 != 0o620 {
		t.Errorf("the socket belongs to %d:%d, permissions %o, %v", st.Uid, st.Gid, st.Mode&0o777, err)
	}
	if err := dial(path); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("it listens already: %v", err)
	}
}

// spec: protocols 11
func TestASocketThatMayNotBeGivenAwayIsRefused(t *testing.T) {
	if unix.Getuid() == 0 {
		t.Skip("root may") // tests/listen does it as another user
	}
	path := filepath.Join(t.TempDir(), "s")
	_, err := Unix(path, Access{Owner: &Owner{UID: 0, GID: -1}}, backlog)
	if !errors.Is(err, unix.EPERM) || err.Error() != "can't give the socket to user 0: operation not permitted" {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the path is left behind")
	}
}

// spec: protocols 11
func TestAPathThatIsTooLong(t *testing.T) {
	room := len(unix.RawSockaddrUnix{}.Path) - 1
	t.Chdir(t.TempDir())
	s, err := Unix(strings.Repeat("a", room), Access{}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, err = Unix(strings.Repeat("a", room+1), Access{}, backlog)
	want := fmt.Sprintf("the path of a unix socket has %d bytes at most, this one has %d", room, room+1)
	if err == nil || err.Error() != want || !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// spec: protocols 11
func TestAnAbstractSocketHasNoFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := Unix("@a", Access{}, backlog); err == nil {
			t.Error("accepted")
		}
		return
	}
	t.Chdir(t.TempDir())
	name := fmt.Sprintf("@awaitd-test-%d", os.Getpid())
	s, err := Unix(name, Access{Permissions: 0o600, Owner: &Owner{0, 0}}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	reach(t, s, "unix", name)
	if s.URL() != "unix:"+name || s.Server().Family != exchange.Unix {
		t.Errorf("%s, %+v", s.URL(), s.Server())
	}
	if files, _ := os.ReadDir("."); len(files) > 0 {
		t.Errorf("it made %v", files)
	}
	if _, err := Unix(name, Access{}, backlog); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a second server: %v", err)
	}
	s.Close()
	if dial(name) == nil {
		t.Error("it is still there")
	}
}

func TestAMissingFolderIsNamed(t *testing.T) {
	if _, err := Unix(filepath.Join(t.TempDir(), "none", "s"), Access{}, backlog); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// spec: protocols 11
func TestCloseLeavesAPathThatAnotherServerHasTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := Unix(path, Access{}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil { // keeps the inode from being used again
		t.Fatal(err)
	}
	taken, err := Unix(path, Access{}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	reach(t, taken, "unix", path)
	taken.Close()
}
