package telemetry

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

func TestWriterKeepsTheOrderAndWritesAllBeforeItCloses(t *testing.T) {
	var out bytes.Buffer
	l := NewWriter(&out)
	want := ""
	for n := range 1000 {
		line := fmt.Sprintf("line %d\n", n)
		want += line
		fmt.Fprint(l, line)
	}
	l.Close()
	fmt.Fprint(l, "too late\n")
	l.Close()
	if out.String() != want {
		t.Errorf("got %d bytes, want %d", out.Len(), len(want))
	}
}

// stuck is a writer that stands still until it is told to go on.
type stuck struct {
	bytes.Buffer
	goOn chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.goOn
	return s.Buffer.Write(p)
}

func TestWriterBlocksNobodyAndCountsWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{goOn: make(chan struct{})}
		l := NewWriter(out)
		line := strings.Repeat("x", 1<<20-1) + "\n"
		fmt.Fprint(l, "first\n")
		synctest.Wait() // it stands still now
		for range 12 {
			fmt.Fprint(l, line)
		}
		l.Close() // gives up
		close(out.goOn)
		synctest.Wait()
		if got := out.String(); !strings.HasPrefix(got, "first\n"+line) ||
			!strings.HasSuffix(got, line+"log: 3 lines dropped: the log can't be written fast enough\n") {
			t.Errorf("got %d bytes, the last %q", len(got), got[max(0, len(got)-100):])
		}
	})
}
