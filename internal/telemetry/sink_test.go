package telemetry

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// disk is a file on a disk that has room for so many bytes.
type disk struct {
	bytes.Buffer
	room int
}

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// spec: process 17
func TestASinkSaysWhatADiskThatWasFullHasLost(t *testing.T) {
	full := "log: 3 lines lost: no space left on device\n"
	for name, c := range map[string]struct {
		rooms [3]int // before each write
		want  string
	}{
		"there is room":                  {[3]int{100, 100, 100}, "one\ntwo\nthree\nfour\nfive\n"},
		"none for a while":               {[3]int{0, 0, 100}, full + "four\nfive\n"},
		"none in the middle of a line":   {[3]int{2, 0, 100}, "on\n" + full + "four\nfive\n"},
		"none between two lines":         {[3]int{4, 0, 100}, "one\n" + strings.Replace(full, "3", "2", 1) + "four\nfive\n"},
		"none for the word about it":     {[3]int{0, 10, 100}, "log: 1 lin\n" + full + "four\nfive\n"},
		"room for the word about it":     {[3]int{0, len(full), 0}, strings.Replace(full, "3", "1", 1)},
		"room for it, and a part beside": {[3]int{0, len(full) + 2, 100}, strings.Replace(full, "3", "1", 1) + "tw\n" + strings.Replace(full, "3", "2", 1) + "four\nfive\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{}
			s := NewSink(d, "log")
			for i, lines := range []string{"one\n", "two\nthree\n", "four\nfive\n"} {
				d.room = c.rooms[i]
				if n, err := io.WriteString(s, lines); n != len(lines) || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
			if got := d.String(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestASinkIsForSeveralGoroutines(t *testing.T) {
	d := &disk{}
	s := NewSink(d, "log")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				_, _ = io.WriteString(s, "a line\n")
			}
		})
	}
	all.Wait()
	d.room = 1000
	_, _ = io.WriteString(s, "the last\n")
	if got, want := d.String(), "log: 400 lines lost: no space left on device\nthe last\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
