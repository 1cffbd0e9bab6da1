package listen

import "golang.org/x/sys/unix"

// settle gives the file of a socket its owner and permissions.
func settle(path string, a Access) error {
	if a.Owner != nil {
		if err := unix.Lchown(path, a.Owner.UID, a.Owner.GID); err != nil {
			return err
		}
	}
	if a.Permissions == 0 {
		return nil
	}
	return unix.Fchmodat(unix.AT_FDCWD, path, a.Permissions, unix.AT_SYMLINK_NOFOLLOW)
}
