package dispatch

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// token sends a FILE frame that names a descriptor.
func (e *workerEnd) token(id uint32, token uint64, offset, count int64) bool {
	p := binary.LittleEndian.AppendUint64(nil, uint64(offset))
	p = binary.LittleEndian.AppendUint64(p, uint64(count))
	p = binary.LittleEndian.AppendUint64(p, token)
	return e.say(wire.Header{Stream: id, Type: wire.File, Flags: wire.EndStream, Aux: 1, Length: 8}, p)
}

// passing is a setting with one worker that has answered one client with a head, and a file to pass.
type passing struct {
	*setting
	w      *fakeWorker
	end    *workerEnd
	client *fakeClient
	id     uint32
	name   string
}

const content = "0123456789"

// withPassing runs a test with fake time.
func withPassing(t *testing.T, f func(t *testing.T, p *passing)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &passing{setting: newSetting(t, 1)}
		p.name = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(p.name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.w = p.worker("w", 10)
		p.end = p.w.ends[0]
		p.client, p.id = p.exchange("c")
		before := openFiles(t)
		f(t, p)
		p.settle()
		p.w.die()
		p.settle()
		if after := openFiles(t); after > before-2 { // the link's memory and its doorbell are gone
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(entries)
}

// exchange has the worker answer a client with a head.
func (p *passing) exchange(name string) (*fakeClient, uint32) {
	p.t.Helper()
	c := p.open(0, name)
	p.turn()
	r := p.end.take()
	p.end.head(r.id, 200, "", false)
	p.turn()
	return c, r.id
}

// pass passes a descriptor as a worker would.
func (p *passing) pass(token uint64, name string) error {
	p.t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.w.target.Descriptors.Put(token, worker.Passed(fd))
}

// settle lets every goroutine come as far as it can, and the loops turn.
func (p *passing) settle() {
	for range 3 {
		p.turn()
		synctest.Wait()
	}
	p.turn()
}

func (p *passing) honest() {
	p.t.Helper()
	if p.w.violated != nil {
		p.t.Fatalf("an honest worker was found guilty: %v", p.w.violated)
	}
}

func TestAFileByDescriptor(t *testing.T) {
	for name, c := range map[string]struct {
		before        bool // the descriptor comes before the frame
		offset, count int64
		want          string
	}{
		"descriptor first":   {true, 2, 5, "23456"},
		"frame first":        {false, 2, 5, "23456"},
		"to the end":         {true, 7, -1, "789"},
		"nothing":            {true, 3, 0, ""},
		"past what is there": {true, 8, 100, "89"},
	} {
		t.Run(name, func(t *testing.T) {
			withPassing(t, func(t *testing.T, p *passing) {
				if c.before {
					_ = p.pass(1, p.name)
				}
				p.end.token(p.id, 1, c.offset, c.count)
				p.settle()
				if !c.before {
					if p.client.ended {
						t.Fatal("ended without the descriptor")
					}
					_ = p.pass(1, p.name)
					p.settle()
				}
				if !p.client.ended || string(p.client.body) != c.want {
					t.Errorf("ended: %v, with %q, want %q", p.client.ended, p.client.body, c.want)
				}
				p.honest()
				p.atRest()
			})
		})
	}
}

func TestWhatIsNoRegularFileFailsItsStreamAlone(t *testing.T) {
	for name, send := range map[string]func(*passing){
		"a folder by descriptor": func(p *passing) { _ = p.pass(1, "/"); p.end.token(p.id, 1, 0, -1) },
		"a device by descriptor": func(p *passing) { _ = p.pass(1, "/dev/null"); p.end.token(p.id, 1, 0, -1) },
		"a descriptor that was lost": func(p *passing) {
			_ = p.w.target.Descriptors.Put(1, -1)
			p.end.token(p.id, 1, 0, -1)
		},
		"a FIFO by descriptor": passFIFO,
	} {
		t.Run(name, func(t *testing.T) {
			withPassing(t, func(t *testing.T, p *passing) {
				send(p)
				p.settle()
				if p.client.failed != exchange.AppError {
					t.Errorf("ended: %v, failed with %v", p.client.ended, p.client.failed)
				}
				p.honest()
				p.atRest()
			})
		})
	}
}

func passFIFO(p *passing) {
	p.t.Helper()
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		p.t.Fatal(err)
	}
	_ = unix.Close(ends[1])
	_ = p.w.target.Descriptors.Put(1, worker.Passed(ends[0]))
	p.end.token(p.id, 1, 0, -1)
}

func TestADescriptorThatDoesNotComeIsAViolation(t *testing.T) {
	withPassing(t, func(t *testing.T, p *passing) {
		p.end.token(p.id, 1, 0, -1)
		p.settle()
		time.Sleep(comeTime - time.Millisecond)
		p.settle()
		p.honest()
		time.Sleep(time.Millisecond)
		p.settle()
		if p.w.violated == nil || p.client.ended {
			t.Fatalf("violated: %v, the client has ended: %v", p.w.violated, p.client.ended)
		}
		p.w.die()
		if p.client.failed != exchange.WorkerDied {
			t.Errorf("the client failed with %v", p.client.failed)
		}
	})
}

func TestOneTokenForTwoStreamsIsAViolation(t *testing.T) {
	withPassing(t, func(t *testing.T, p *passing) {
		_, other := p.exchange("d")
		p.end.token(p.id, 1, 0, -1)
		p.end.token(other, 1, 0, -1)
		p.settle()
		if p.w.violated == nil {
			t.Error("the worker is not found guilty")
		}
	})
}

func TestADescriptorIsClosedWhenItsClientHasLeft(t *testing.T) {
	for name, steps := range map[string]func(p *passing){
		"before frame and descriptor": func(p *passing) { p.client.cancel(); p.end.token(p.id, 1, 0, -1); p.turn(); _ = p.pass(1, p.name) },
		"between descriptor and frame": func(p *passing) {
			_ = p.pass(1, p.name)
			p.client.cancel()
			p.end.token(p.id, 1, 0, -1)
		},
		"between frame and descriptor": func(p *passing) { p.end.token(p.id, 1, 0, -1); p.turn(); p.client.cancel(); _ = p.pass(1, p.name) },
		"while the file is looked at":  func(p *passing) { _ = p.pass(1, p.name); p.end.token(p.id, 1, 0, -1); p.turn(); p.client.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			withPassing(t, func(t *testing.T, p *passing) {
				before := openFiles(t)
				steps(p)
				p.settle()
				if after := openFiles(t); after > before {
					t.Errorf("%d descriptors before, %d after", before, after)
				}
				p.honest()
				p.atRest()
			})
		})
	}
}

func TestDescriptorsThatNobodyAskedForAreBoundedAndGoWithTheWorker(t *testing.T) {
	withPassing(t, func(t *testing.T, p *passing) {
		before := openFiles(t)
		token := uint64(0)
		for p.pass(token, p.name) == nil {
			token++
		}
		if token != 256 {
			t.Errorf("%d are kept", token)
		}
		p.w.die() // as the pool does, told by the control socket's reader
		if after := openFiles(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func TestAFrameWhoseWorkerDiesBeforeItsDescriptor(t *testing.T) {
	withPassing(t, func(t *testing.T, p *passing) {
		p.end.token(p.id, 1, 0, -1)
		p.settle()
		p.w.die()
		p.settle()
		if p.client.failed != exchange.WorkerDied {
			t.Errorf("failed with %v", p.client.failed)
		}
		p.atRest()
	})
}

func TestFilesThatWaitForTheirDescriptorsLetOthersBeOpened(t *testing.T) {
	withPassing(t, func(t *testing.T, p *passing) {
		p.w.target.Limit = 2 * maxChecks
		for i := range maxChecks + 1 {
			_, id := p.exchange("d")
			p.end.token(id, uint64(100+i), 0, -1)
			p.settle()
		}
		_ = p.pass(1, p.name)
		p.end.token(p.id, 1, 0, -1)
		p.settle()
		if string(p.client.body) != content {
			t.Error("a file whose descriptor has come waits for those whose has not")
		}
	})
}
