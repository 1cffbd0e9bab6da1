package worker

import (
	"bytes"
	"io"
	"sync"
)

// maxLine is the longest line of a worker's output that is kept whole; a longer one is passed on in parts.
const maxLine = 64 << 10

// copyLines passes r on to w line by line, each with prefix before it, until r ends. It always reads on: a worker must not be
// stopped by a log that can't be written.
func copyLines(w io.Writer, prefix string, r io.Reader) {
	in := make([]byte, maxLine)
	out := make([]byte, 0, maxLine+len(prefix)+1)
	n := 0
	for {
		m, err := r.Read(in[n:])
		n += m
		rest := in[:n]
		out = out[:0]
		for {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 && len(rest) < maxLine && err == nil {
				break
			}
			if end < 0 {
				end = len(rest)
			}
			if end > 0 || len(rest) > 0 {
				out = append(append(append(out, prefix...), rest[:end]...), '\n')
			}
			rest = rest[min(end+1, len(rest)):]
			if len(rest) == 0 {
				break
			}
		}
		n = copy(in, rest)
		if len(out) > 0 {
			_, _ = w.Write(out)
		}
		if err != nil {
			return
		}
	}
}

// early holds back what a process prints before it has said hello: if its interpreter turns out to lack awaitd, what Python says
// about that is not worth repeating. Output that grows beyond maxLine is let through.
type early struct {
	mu   sync.Mutex
	w    io.Writer
	held []byte
	open bool
}

// Write holds p back, or passes it on.
func (e *early) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open {
		e.held = append(e.held, p...)
		if len(e.held) > maxLine {
			e.release()
		}
		return len(p), nil
	}
	return e.w.Write(p)
}

// Open lets through what was held back, and all that follows.
func (e *early) Open() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.release()
}

func (e *early) release() {
	e.open = true
	if len(e.held) > 0 {
		_, _ = e.w.Write(e.held)
		e.held = nil
	}
}
