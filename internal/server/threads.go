package server

import (
	"runtime"
	"sync"
)

// spareThreads is how many threads are made in advance: one for each process that is waited for, and for what else may block at once.
const spareThreads = 16

// reserveThreads makes threads, which Go's runtime keeps for whatever blocks later. When the kernel refuses it a thread, it ends the
// program: that must not happen just when processes are short.
func reserveThreads(n int) {
	var here, gone sync.WaitGroup
	here.Add(n)
	leave := make(chan struct{})
	for range n {
		gone.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			here.Done()
			<-leave // on a thread of its own
		})
	}
	here.Wait()
	close(leave)
	gone.Wait()
}
