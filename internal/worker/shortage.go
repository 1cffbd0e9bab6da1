package worker

import (
	"errors"
	"syscall"
)

// errBusy is a zygote's word that it could not fork this time.
var errBusy = errors.New("the zygote can't fork")

// IsShortage says whether a worker could not be started for want of something that others may give back: processes, descriptors,
// memory. Another try may succeed.
func IsShortage(err error) bool {
	for _, lacking := range [...]error{errBusy, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOSPC} {
		if errors.Is(err, lacking) {
			return true
		}
	}
	return false
}
