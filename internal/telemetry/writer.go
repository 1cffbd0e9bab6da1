package telemetry

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// Writer passes lines on to a writer that may be slow, or stand still, without the callers waiting for it: a log that nobody
// reads must not stop a reactor. Lines are written in order, by a goroutine of its own, as soon as it can. When maxBacklog bytes
// wait, lines are dropped, counted, and the count is written.
type Writer struct {
	w       io.Writer
	mu      sync.Mutex
	buf     []byte
	dropped int
	closed  bool
	more    chan struct{}
	done    chan struct{}
}

// closeTime is how long Close waits for a writer that stands still.
const closeTime = time.Second

// NewWriter starts a Writer on w. Close ends its goroutine.
func NewWriter(w io.Writer) *Writer {
	l := &Writer{w: w, more: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one or more lines. It never blocks on the writer behind it, and never fails.
func (l *Writer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case len(l.buf) > maxBacklog:
		l.dropped++
	default:
		l.buf = append(l.buf, p...)
		l.wake()
	}
	return len(p), nil
}

// wake has run look again. l.mu is held.
func (l *Writer) wake() {
	select {
	case l.more <- struct{}{}:
	default: // it is about to
	}
}

func (l *Writer) run() {
	defer close(l.done)
	var spare []byte
	for range l.more {
		l.mu.Lock()
		out, dropped := l.buf, l.dropped
		l.buf, l.dropped = spare[:0], 0
		l.mu.Unlock()
		if dropped > 0 {
			out = append(out, "log: "...)
			out = strconv.AppendInt(out, int64(dropped), 10)
			out = append(out, " lines dropped: the log can't be written fast enough\n"...)
		}
		_, _ = l.w.Write(out)
		spare = out
	}
}

// Close writes what is left, if that is possible within a second, and ends the goroutine.
func (l *Writer) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.wake()
		close(l.more) // what is in the channel is still taken
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(closeTime):
	}
}
