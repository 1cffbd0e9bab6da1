package listen

import (
	"errors"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// settle gives the file of a socket its owner and permissions. It is held open meanwhile, and must be a socket: whoever can write
// to the folder could put a link to a file of root's in its place.
func settle(path string, a Access) error {
	if a.Owner == nil && a.Permissions == 0 {
		return nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return &Error{Problem: "somebody else has replaced the socket's file", Err: unix.EPERM}
	}
	if a.Owner != nil {
		if err := unix.Fchownat(fd, "", a.Owner.UID, a.Owner.GID, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if a.Permissions == 0 {
		return nil
	}
	err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), a.Permissions) // fchmod takes no O_PATH descriptor
	if errors.Is(err, fs.ErrNotExist) {                                // no /proc: this needs Linux 6.6
		err = unix.Fchmodat(fd, "", a.Permissions, unix.AT_EMPTY_PATH)
	}
	return err
}
