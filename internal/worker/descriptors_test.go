package worker

import (
	"errors"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/message"
	"github.com/awaitd/awaitd/internal/wire"
)

// watched is a descriptor whose closing can be seen.
type watched struct {
	t    *testing.T
	end  int
	held Passed
}

// watch makes a descriptor to pass.
func watch(t *testing.T) *watched {
	t.Helper()
	var p [2]int
	if err := errors.Join(unix.Pipe(p[:]), unix.SetNonblock(p[0], true)); err != nil {
		t.Fatal(err)
	}
	w := &watched{t, p[0], Passed(p[1])}
	t.Cleanup(func() { _ = unix.Close(w.end) })
	return w
}

// closed says whether nobody holds the descriptor any more.
func (w *watched) closed() bool {
	w.t.Helper()
	n, err := unix.Read(w.end, make([]byte, 1))
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		w.t.Fatal(err)
	}
	return n == 0 && err == nil
}

// empty checks that nothing is left.
func empty(t *testing.T, d *Descriptors) {
	t.Helper()
	if len(d.places) != 0 || d.passed != 0 || d.missed != 0 {
		t.Errorf("left: %d places, %d passed, %d missed", len(d.places), d.passed, d.missed)
	}
}

func isViolation(err error) bool {
	_, ok := errors.AsType[wire.Violation](err)
	return ok
}

func TestADescriptorMeetsItsFrameWhicheverIsFirst(t *testing.T) {
	d := NewDescriptors()
	early, late := watch(t), watch(t)
	if err := d.Put(1, early.held); err != nil {
		t.Fatal(err)
	}
	wanted, err := d.Want(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Put(2, late.held); err != nil {
		t.Fatal(err)
	}
	if got := <-wanted; got != late.held {
		t.Errorf("got %d, want %d", got, late.held)
	}
	if wanted, err = d.Want(1); err != nil || <-wanted != early.held {
		t.Error("the descriptor that waited did not come", err)
	}
	empty(t, d)
	early.held.Close()
	late.held.Close()
	if !early.closed() || !late.closed() {
		t.Error("somebody else holds them too")
	}
}

func TestAStreamThatHasEndedLetsGoOfItsDescriptor(t *testing.T) {
	d := NewDescriptors()
	early, late := watch(t), watch(t)
	_ = d.Put(1, early.held)
	for _, token := range []uint64{1, 2} {
		if err := d.Drop(token); err != nil {
			t.Fatal(err)
		}
	}
	if !early.closed() || late.closed() {
		t.Error("closed too late, or too early")
	}
	if err := d.Put(2, late.held); err != nil || !late.closed() {
		t.Error("a descriptor that nobody wants any more is kept", err)
	}
	empty(t, d)
}

func TestATokenIsNotUsedTwice(t *testing.T) {
	for name, c := range map[string]func(*Descriptors, Passed) error{
		"passed twice":             func(d *Descriptors, p Passed) error { _ = d.Put(1, -1); return d.Put(1, p) },
		"named twice":              func(d *Descriptors, p Passed) error { _, _ = d.Want(1); _, err := d.Want(1); p.Close(); return err },
		"named, then dropped":      func(d *Descriptors, p Passed) error { _, _ = d.Want(1); p.Close(); return d.Drop(1) },
		"dropped, then named":      func(d *Descriptors, p Passed) error { _ = d.Drop(1); p.Close(); _, err := d.Want(1); return err },
		"dropped twice":            func(d *Descriptors, p Passed) error { _ = d.Drop(1); p.Close(); return d.Drop(1) },
		"more than may be waiting": putMany,
		"more frames than may be ahead": func(d *Descriptors, p Passed) error {
			p.Close()
			for token := range uint64(maxMissed) {
				if err := d.Drop(token); err != nil {
					return nil
				}
			}
			return d.Drop(maxMissed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, w := NewDescriptors(), watch(t)
			if err := c(d, w.held); !isViolation(err) {
				t.Errorf("got %v, want a violation", err)
			}
			if !w.closed() {
				t.Error("the descriptor is not closed")
			}
			d.Close()
		})
	}
}

// putMany passes as many descriptors as may wait, and p.
func putMany(d *Descriptors, p Passed) error {
	for token := range uint64(maxPassed) {
		if err := d.Put(token, -1); err != nil {
			p.Close()
			return nil
		}
	}
	return d.Put(maxPassed, p)
}

func TestAllDescriptorsAreClosedWithTheWorker(t *testing.T) {
	d := NewDescriptors()
	waiting, late := watch(t), watch(t)
	_ = d.Put(1, waiting.held)
	wanted, _ := d.Want(2)
	_ = d.Drop(3)
	d.Close()
	empty(t, d)
	if !waiting.closed() {
		t.Error("what waited is open")
	}
	if got, ok := <-wanted; ok {
		t.Errorf("who waited got %d", got)
	}
	if err := d.Put(4, late.held); err != nil || !late.closed() {
		t.Error("what came later is open", err)
	}
	if wanted, err := d.Want(5); err != nil {
		t.Error(err)
	} else if _, ok := <-wanted; ok {
		t.Error("there is something for who came later")
	}
	if err := d.Drop(6); err != nil {
		t.Error(err)
	}
	empty(t, d)
}

func TestDescriptorsAndFramesComeOnTheirOwnGoroutines(t *testing.T) {
	d := NewDescriptors()
	var both sync.WaitGroup
	room := make(chan struct{}, maxPassed/2)
	const count = 5000
	both.Go(func() {
		for token := range uint64(count) {
			room <- struct{}{}
			if err := d.Put(token, -1); err != nil {
				t.Error(err)
			}
		}
	})
	both.Go(func() {
		for token := range uint64(count) {
			if token%3 == 0 {
				if err := d.Drop(token); err != nil {
					t.Error(err)
				}
			} else if wanted, err := d.Want(token); err != nil {
				t.Error(err)
			} else if got := <-wanted; got != -1 {
				t.Errorf("got %d", got)
			}
			<-room
		}
	})
	both.Wait()
	empty(t, d)
}

func TestAWorkerPassesDescriptors(t *testing.T) {
	text := `{"type":"descriptor","token":18446744073709551615}`
	for name, c := range map[string]struct {
		descriptors int
		at          int // byte of the message that they come with
		violation   bool
	}{
		"one":                 {1, 0, false},
		"one in the middle":   {1, 9, false},
		"none":                {0, 0, true},
		"two":                 {2, 0, true},
		"more than are taken": {40, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctl, peer := workerSide(t)
			w := watch(t)
			message := frame(len(text), text)
			_, _ = peer.Write(message[:c.at])
			var rights []byte
			if c.descriptors > 0 {
				fds := make([]int, c.descriptors)
				for i := range fds {
					fds[i] = int(w.held)
				}
				rights = unix.UnixRights(fds...)
			}
			if _, _, err := peer.WriteMsgUnix(message[c.at:], rights, nil); err != nil {
				t.Fatal(err)
			}
			w.held.Close()
			m, err := ctl.receive()
			if err != nil || m.Token != 1<<64-1 {
				t.Fatalf("%+v, %v", m, err)
			}
			d := NewDescriptors()
			p := &Process{spec: Spec{Descriptors: d}}
			err = p.hear(m)
			m.Close()
			if isViolation(err) != c.violation {
				t.Errorf("heard with %v", err)
			}
			if waits := len(d.places) == 1; waits == c.violation {
				t.Errorf("waiting: %v", waits)
			}
			if c.descriptors > 0 && w.closed() != c.violation {
				t.Errorf("closed: %v", !c.violation)
			}
			d.Close()
			if !w.closed() {
				t.Error("still open")
			}
		})
	}
}

func TestDescriptorsOfOtherMessagesAreClosed(t *testing.T) {
	for name, text := range map[string]string{"another type": `{"type":"drained"}`, "no JSON": `{"type":`} {
		t.Run(name, func(t *testing.T) {
			ctl, peer := workerSide(t)
			w := watch(t)
			if _, _, err := peer.WriteMsgUnix(frame(len(text), text), unix.UnixRights(int(w.held)), nil); err != nil {
				t.Fatal(err)
			}
			w.held.Close()
			_ = peer.Close()
			heard := make(chan struct{})
			p := &Process{control: ctl, gone: true, spec: Spec{Descriptors: NewDescriptors()}}
			p.listen(heard)
			if !w.closed() {
				t.Error("still open")
			}
		})
	}
}

// A descriptor that this process has no number for is lost, and only its stream suffers.
func TestADescriptorThatIsLost(t *testing.T) {
	d := NewDescriptors()
	p := &Process{spec: Spec{Descriptors: d}}
	if err := p.hear(&said{Type: "descriptor", Token: 7, Rights: message.Rights{Lost: true}}); err != nil {
		t.Fatal(err)
	}
	if wanted, err := d.Want(7); err != nil || <-wanted != -1 {
		t.Error("it did not come as lost", err)
	}
}
