package worker

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/wire"
)

// Descriptors is where the open files that one worker passes over its control socket meet the FILE frames that name them: each
// of the two comes with a token, and either may come first. It is bounded, since the worker is not trusted, and safe for
// concurrent use: descriptors come on the goroutine that listens to the worker, frames on those of the endpoints.
type Descriptors struct {
	mu     sync.Mutex
	places map[uint64]*place // by token; a place goes when both have come
	passed int               // places that wait for a frame
	missed int               // places that wait for a descriptor which nobody wants any more
	closed bool
}

// place is what has come of one token.
type place struct {
	descriptor Passed
	come       bool        // the descriptor has
	wanted     chan Passed // of a frame that waits for it
}

// Passed is a descriptor that a worker passed; -1 if it was lost on the way, because this process had no room for another.
type Passed int

const (
	// maxPassed is how many descriptors may wait for their frames: as many as a worker may pass ahead of what the server has
	// read of its rings (docs/reference/wire.md).
	maxPassed = 256

	// maxMissed is how many frames for streams that had ended may be ahead of their descriptors. Such a place costs a few dozen
	// bytes; the control socket's buffer, which holds what is not yet read of it, has room for a few hundred messages.
	maxMissed = 16 << 10
)

// The rules about descriptors that a worker may break.
const (
	errPassedTwice = wire.Violation("a second descriptor for one token")
	errNamedTwice  = wire.Violation("a second FILE for one token")
	errTooMany     = wire.Violation("too many descriptors that no FILE has named")
	errTooFew      = wire.Violation("too many FILEs whose descriptors have not come")
)

// NewDescriptors makes the meeting place of one worker.
func NewDescriptors() *Descriptors { return &Descriptors{places: map[uint64]*place{}} }

// Put takes over a descriptor that the worker passed. An error is a violation.
func (d *Descriptors) Put(token uint64, descriptor Passed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.places[token]
	switch {
	case d.closed:
		descriptor.Close()
	case p == nil && d.passed == maxPassed:
		descriptor.Close()
		return errTooMany
	case p == nil:
		d.places[token] = &place{descriptor: descriptor, come: true}
		d.passed++
	case p.come:
		descriptor.Close()
		return errPassedTwice
	case p.wanted == nil:
		descriptor.Close()
		delete(d.places, token)
		d.missed--
	default:
		p.wanted <- descriptor
		delete(d.places, token)
	}
	return nil
}

// Want asks for the descriptor of a token, for a FILE frame. It comes on the channel, once, and is then the receiver's; the
// channel is closed without it when the worker is gone. An error is a violation.
func (d *Descriptors) Want(token uint64) (<-chan Passed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := make(chan Passed, 1)
	p := d.places[token]
	switch {
	case d.closed:
		close(wanted)
	case p == nil:
		d.places[token] = &place{wanted: wanted}
	case !p.come:
		return nil, errNamedTwice
	default:
		wanted <- p.descriptor
		delete(d.places, token)
		d.passed--
	}
	return wanted, nil
}

// Drop closes the descriptor of a token, now or when it comes: the stream of its FILE frame has ended. An error is a violation.
func (d *Descriptors) Drop(token uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.places[token]
	switch {
	case d.closed:
	case p == nil && d.missed == maxMissed:
		return errTooFew
	case p == nil:
		d.places[token] = &place{}
		d.missed++
	case !p.come:
		return errNamedTwice
	default:
		p.descriptor.Close()
		delete(d.places, token)
		d.passed--
	}
	return nil
}

// Close closes all that waits: the worker is gone.
func (d *Descriptors) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.places {
		if p.come {
			p.descriptor.Close()
		} else if p.wanted != nil {
			close(p.wanted)
		}
	}
	clear(d.places)
	d.passed, d.missed, d.closed = 0, 0, true
}

// Close closes the descriptor, if it has come through.
func (p Passed) Close() {
	if p >= 0 {
		_ = unix.Close(int(p))
	}
}
