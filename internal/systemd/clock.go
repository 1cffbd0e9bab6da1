package systemd

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the clock that RELOADING=1 is stamped with.
func monotonic() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano() / int64(time.Microsecond)
}
