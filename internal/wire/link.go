package wire

import "golang.org/x/sys/unix"

// Link is the server's end of one link: the rings, their memory, and the two doorbells.
type Link struct {
	Out Producer // to the worker
	In  Consumer // from the worker

	mem    []byte
	memory int   // descriptor of the memory; -1 once the worker has it
	bell   *Bell // rings the server; one for each link, so that a worker can disturb only its own
	worker *Bell // rings the worker loop; shared by all links of that loop
}

// NewLink makes the memory of a link with rings of size bytes (a power of two) and its doorbell towards the server. worker is
// the doorbell of the worker loop that the link leads to.
func NewLink(size int, worker *Bell) (*Link, error) {
	if size < MinRing || size > MaxRing || size&(size-1) != 0 {
		panic("wire: ring size must be a power of two between MinRing and MaxRing")
	}
	memory, mem, err := sharedMemory(headerPage + 2*size)
	if err != nil {
		return nil, err
	}
	bell, err := NewBell()
	if err != nil {
		_ = unix.Munmap(mem)
		_ = unix.Close(memory)
		return nil, err
	}
	le.PutUint32(mem[offMagic:], Magic)
	le.PutUint32(mem[offVersion:], Version)
	le.PutUint32(mem[offSize:], uint32(size))
	l := &Link{mem: mem, memory: memory, bell: bell, worker: worker}
	l.Out.ring = ringAt(mem, offToWorker, headerPage, size)
	l.In.ring = ringAt(mem, offToServer, headerPage+size, size)
	return l, nil
}

// Size returns the size of each ring.
func (l *Link) Size() int { return len(l.Out.data) }

// Descriptors returns what the worker needs, in the order of the setup message: the memory, and the end of the doorbell that it
// rings.
func (l *Link) Descriptors() []int { return []int{l.memory, l.bell.ring} }

// Sent closes what only the worker needs, after it was given the descriptors.
func (l *Link) Sent() {
	_ = unix.Close(l.memory)
	l.memory = -1
}

// Doorbell returns the descriptor that becomes readable when the worker rings. On Linux it is watched edge-triggered and never
// read, so that a worker can't make the server block on it.
func (l *Link) Doorbell() int { return l.bell.wait }

// Publish shows the worker all that was written to Out, and wakes it if it sleeps.
func (l *Link) Publish() {
	if l.Out.Publish() {
		l.worker.Ring()
	}
}

// Wake wakes the worker, for something that it finds without a frame: requests that were revoked.
func (l *Link) Wake() { l.worker.Ring() }

// Release gives the space of all frames read from In back, and wakes the worker if it waits for room.
func (l *Link) Release() {
	if l.In.Release() {
		l.worker.Ring()
	}
}

// Close frees the memory and the doorbell. The link must not be used any more.
func (l *Link) Close() {
	if l.memory >= 0 {
		_ = unix.Close(l.memory)
	}
	l.bell.Close()
	_ = unix.Munmap(l.mem)
	*l = Link{memory: -1}
}

// Bell is a doorbell: one end is waited on, the other is rung. On Linux both are the same eventfd.
type Bell struct{ wait, ring int }

// Ring wakes whoever waits. It never blocks, and does nothing when the bell is ringing already.
func (b *Bell) Ring() {
	one := [8]byte{1}
	rawWrite(b.ring, &one)
}

// Wait returns the descriptor to wait on.
func (b *Bell) Wait() int { return b.wait }

// Close closes both ends. A nil Bell has none.
func (b *Bell) Close() {
	if b == nil {
		return
	}
	if b.ring != b.wait {
		_ = unix.Close(b.ring)
	}
	_ = unix.Close(b.wait)
}
