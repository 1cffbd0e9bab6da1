package pool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/awaitd/awaitd/internal/dispatch"
)

// Wear. A worker may be replaced after a number of requests, a time, or when it has grown: for applications that leak. The new one
// is ready before the old one goes, so nobody notices.

// Wear says when workers are replaced; zero values: never.
type Wear struct {
	Requests int           // started
	Jitter   int           // at most as many more, by chance: workers of one age shall not go at once
	Lifetime time.Duration // up to a tenth longer, by chance
	RSS      int64         // bytes of resident memory
}

const (
	wearTick = time.Second // between two looks at a worker's memory

	// wearPause is how long a worker goes on that was to be replaced when its successor could not start.
	wearPause = 30 * time.Second
)

// wish is that an instance be replaced.
type wish struct {
	instance *instance
	why      string
}

// bear has a worker serve that many requests from now on, before it is replaced.
func (w *Wear) bear(t *dispatch.Target) {
	if w.Requests > 0 {
		t.Bear(w.Requests + rand.IntN(w.Jitter+1))
	}
}

// watchWear has a worker replaced when it is old, or large. It ends with the worker.
func (m *member) watchWear(i *instance) {
	wear := m.pool.opts.Wear
	var pause time.Time // until then its memory is not looked at
	var old <-chan time.Time
	if wear.Lifetime > 0 {
		old = time.After(wear.Lifetime + time.Duration(rand.Int64N(int64(wear.Lifetime)/10+1)))
	}
	var look <-chan time.Time
	if wear.RSS > 0 {
		tick := time.NewTicker(wearTick)
		defer tick.Stop()
		look = tick.C
	}
	for !i.target.Draining() {
		select {
		case <-i.process.Done:
			return
		case <-old:
			m.tell(m.worn, i, "its lifetime")
			old = time.After(wearPause)
		case now := <-look:
			if now.Before(pause) {
				continue
			}
			if rss := ResidentMemory(i.process.PID()); rss > wear.RSS {
				m.tell(m.worn, i, fmt.Sprintf("%d MiB of memory", rss>>20))
				pause = now.Add(wearPause)
			}
		}
	}
}

// ResidentMemory is what a process has in memory, in bytes; 0 if it can't be said.
func ResidentMemory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// recycle replaces a worker that is worn.
func (m *member) recycle(i *instance, why string) {
	log := m.pool.opts.Log
	log.Info("a worker is replaced", "worker", m.name, "pid", i.process.PID(), "after", why)
	if err := m.renew(i); err != nil {
		log.Error("its successor can't start; it goes on", "worker", m.name, "error", err)
		m.pool.opts.Wear.bear(i.target)
	}
}
