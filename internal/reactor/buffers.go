package reactor

// buffers is the reactor's stock of buffers, in a few sizes. A connection borrows one while bytes are pending and gives it back
// when they are gone; an idle one holds none.
type buffers struct {
	stock [len(bufferSizes)][][]byte
	lent  int // bytes out on loan
}

// bufferSizes are the capacities lent out: a small head, a usual one, a stream's window, the largest head with a window.
var bufferSizes = [...]int{1 << 10, 8 << 10, 80 << 10}

const keepBuffers = 64 // of each size; more are left to the garbage collector

// get lends an empty buffer with room for at least n bytes.
func (b *buffers) get(n int) []byte {
	for i, size := range bufferSizes {
		if n > size {
			continue
		}
		b.lent += size
		stock := b.stock[i]
		if last := len(stock) - 1; last >= 0 {
			b.stock[i] = stock[:last]
			return stock[last][:0]
		}
		return make([]byte, 0, size)
	}
	b.lent += n
	return make([]byte, 0, n)
}

// put takes a buffer back.
func (b *buffers) put(buf []byte) {
	b.lent -= cap(buf)
	for i, size := range bufferSizes {
		if cap(buf) == size && len(b.stock[i]) < keepBuffers {
			b.stock[i] = append(b.stock[i], buf)
			return
		}
	}
}

// Append adds p to buf, a buffer on loan, and returns the buffer that holds both: a larger one if it must be. buf may be nil.
func (r *Reactor) Append(buf, p []byte) []byte { return r.pieces.add(buf, p) }

// GiveBack takes back a buffer that Append has lent.
func (r *Reactor) GiveBack(buf []byte) { r.pieces.put(buf) }

// Lent is how many bytes of buffers are on loan.
func (r *Reactor) Lent() int { return r.pieces.lent }

// add appends p to buf, moving to a larger buffer if it must. buf may be nil.
func (b *buffers) add(buf, p []byte) []byte {
	if cap(buf)-len(buf) >= len(p) {
		return append(buf, p...)
	}
	grown := append(b.get(len(buf)+len(p)), buf...)
	if buf != nil {
		b.put(buf)
	}
	return append(grown, p...)
}
