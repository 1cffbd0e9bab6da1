package worker

import (
	"bytes"
	"io"
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
