package wire

import (
	"sync/atomic"
	"unsafe"
)

// ring is what both ends of a ring share: four words and the data, all in mapped memory.
type ring struct {
	head, tail                       *atomic.Uint64
	consumerWaiting, producerWaiting *atomic.Uint32
	data                             []byte
}

// ringAt finds the ring whose words start at offset words and whose data starts at offset data.
func ringAt(mem []byte, words, data, size int) ring {
	return ring{
		head:            (*atomic.Uint64)(unsafe.Pointer(&mem[words+offHead])),
		tail:            (*atomic.Uint64)(unsafe.Pointer(&mem[words+offTail])),
		consumerWaiting: (*atomic.Uint32)(unsafe.Pointer(&mem[words+offConsumerWaiting])),
		producerWaiting: (*atomic.Uint32)(unsafe.Pointer(&mem[words+offProducerWaiting])),
		data:            mem[data : data+size : data+size],
	}
}

// Producer is the writing end of a ring. Its own position is private; the consumer's is checked whenever it is read.
type Producer struct {
	ring
	next      uint64 // where the next frame goes
	published uint64 // what the consumer may see
	consumed  uint64 // the consumer's position as last read and found sane
}

// MaxFrame returns the size of the largest frame that may be written.
func (p *Producer) MaxFrame() int { return len(p.data) / 4 }

// Position returns the count of bytes written so far: where the next frame begins or, after Write, where the last one ends.
func (p *Producer) Position() uint64 { return p.next }

// Consumed reads the consumer's position: everything before it has been taken. It must not go back, nor pass what was published.
func (p *Producer) Consumed() (uint64, error) {
	head := p.head.Load()
	if head < p.consumed || head > p.published {
		return p.consumed, Violation("the head of the to-worker ring is out of range")
	}
	p.consumed = head
	return head, nil
}

// Fits says whether a frame of n bytes can be written now.
func (p *Producer) Fits(n int) bool {
	size := len(p.data)
	need := n
	if rest := size - int(p.next&uint64(size-1)); rest < n {
		need += rest
	}
	if size-int(p.next-p.consumed) >= need {
		return true
	}
	_, err := p.Consumed() // an error shows again at the next Write
	return err == nil && size-int(p.next-p.consumed) >= need
}

// Write copies one frame into the ring; Publish shows it. It reports false, and writes nothing, if there is no room.
func (p *Producer) Write(frame []byte) (bool, error) {
	at, ok, err := p.reserve(len(frame))
	if !ok || err != nil {
		return false, err
	}
	copy(p.data[at:], frame)
	p.next += uint64(len(frame))
	return true, nil
}

// WriteParts writes a frame made of a header and a payload, padding it.
func (p *Producer) WriteParts(h Header, payload []byte) (bool, error) {
	n := align(HeaderSize + len(payload))
	h.Size = uint32(n)
	at, ok, err := p.reserve(n)
	if !ok || err != nil {
		return false, err
	}
	h.put(p.data[at:])
	copy(p.data[at+HeaderSize:], payload)
	p.next += uint64(n)
	return true, nil
}

// AppendFrame appends a frame made of a header and a payload, for a Write later on.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	n := align(HeaderSize + len(payload))
	h.Size = uint32(n)
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	h.put(dst[at:])
	copy(dst[at+HeaderSize:], payload)
	return dst
}

// reserve finds n contiguous bytes, padding up to the end of the data if they do not fit before it.
func (p *Producer) reserve(n int) (int, bool, error) {
	size := len(p.data)
	at := int(p.next & uint64(size-1))
	need := n
	if rest := size - at; rest < n {
		need += rest
	}
	if size-int(p.next-p.consumed) < need {
		if _, err := p.Consumed(); err != nil {
			return 0, false, err
		}
		if size-int(p.next-p.consumed) < need {
			return 0, false, nil
		}
	}
	if need > n {
		le.PutUint32(p.data[at:], uint32(need-n))
		le.PutUint32(p.data[at+4:], pad)
		p.next += uint64(need - n)
		at = 0
	}
	return at, true, nil
}

// Publish shows the consumer all that was written. It reports whether the consumer sleeps and the caller must ring its doorbell.
func (p *Producer) Publish() bool {
	if p.published == p.next {
		return false
	}
	p.published = p.next
	p.tail.Store(p.next)
	return p.consumerWaiting.Load() != 0 && p.consumerWaiting.CompareAndSwap(1, 0)
}

// Await asks the consumer to ring back when it has made room. It reports true if there is room already.
func (p *Producer) Await(n int) (bool, error) {
	p.producerWaiting.Store(1)
	before := p.consumed
	after, err := p.Consumed()
	return after != before && len(p.data)-int(p.next-after) >= n, err
}

// Consumer is the reading end of a ring.
type Consumer struct {
	ring
	next     uint64 // the next frame to read
	released uint64 // what the producer may overwrite up to
	tail     uint64 // the producer's position as last read and found sane
}

// Frame is one frame read from a ring. Payload still lies in shared memory: whatever is decided by its content must be copied
// first; bytes that are only passed on need not be.
type Frame struct {
	Header
	Payload []byte // all after the header, padding included
}

// Next returns the next frame, or ok false when the ring is empty. The frame is valid until Release.
func (c *Consumer) Next() (f Frame, ok bool, err error) {
	for {
		if c.next == c.tail {
			if err := c.refresh(); err != nil || c.next == c.tail {
				return Frame{}, false, err
			}
		}
		at := int(c.next & uint64(len(c.data)-1))
		size := le.Uint32(c.data[at:])
		stream := le.Uint32(c.data[at+4:])
		if err := c.check(at, size, stream); err != nil {
			return Frame{}, false, err
		}
		c.next += uint64(size)
		if stream == pad {
			continue
		}
		f.Header = headerOf(c.data[at:])
		f.Size, f.Stream = size, stream // as checked, whatever the memory says by now
		f.Payload = c.data[at+HeaderSize : at+int(size) : at+int(size)]
		return f, true, nil
	}
}

// refresh reads the producer's position and checks it.
func (c *Consumer) refresh() error {
	tail := c.ring.tail.Load()
	if tail == c.tail {
		return nil
	}
	if tail < c.tail || tail-c.released > uint64(len(c.data)) || tail%8 != 0 {
		return Violation("the tail of the to-server ring is out of range")
	}
	c.tail = tail
	return nil
}

// check judges the size of the frame at offset at.
func (c *Consumer) check(at int, size, stream uint32) error {
	left := c.tail - c.next
	switch {
	case size%8 != 0 || size == 0:
		return Violation("a frame's size is not a multiple of 8")
	case uint64(size) > left || int(size) > len(c.data)-at:
		return Violation("a frame reaches past what was published")
	case stream != pad && (size < HeaderSize || int(size) > len(c.data)/4):
		return Violation("a frame's size is out of range")
	}
	return nil
}

// Release gives the space of all frames read back to the producer. It reports whether the producer waits for room and the
// caller must ring its doorbell.
func (c *Consumer) Release() bool {
	if c.released == c.next {
		return false
	}
	c.released = c.next
	c.head.Store(c.next)
	return c.producerWaiting.Load() != 0 && c.producerWaiting.CompareAndSwap(1, 0)
}

// Arm says that the consumer is about to sleep. It reports false if there is something to read after all.
func (c *Consumer) Arm() bool {
	c.consumerWaiting.Store(1)
	if c.ring.tail.Load() != c.next {
		c.consumerWaiting.Store(0)
		return false
	}
	return true
}

// Disarm says that the consumer is awake: no doorbell is needed.
func (c *Consumer) Disarm() { c.consumerWaiting.Store(0) }
