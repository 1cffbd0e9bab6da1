package dispatch

// fifo is a queue of streams in a ring buffer. Removing from the middle leaves a hole that pops skip.
type fifo struct {
	ring  []*stream
	head  int
	n     int // entries, holes included
	holes int
}

// len returns the number of streams in the queue.
func (q *fifo) len() int { return q.n - q.holes }

func (q *fifo) push(s *stream) {
	q.grow()
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = s
	q.n++
}

func (q *fifo) pushFront(s *stream) {
	q.grow()
	q.head = (q.head - 1) & (len(q.ring) - 1)
	q.ring[q.head] = s
	q.n++
}

// grow makes room for one more. Holes go: what is removed behind a first that stays must not fill the memory.
func (q *fifo) grow() {
	if q.n < len(q.ring) {
		return
	}
	size := 16
	for size < 2*q.len() {
		size *= 2
	}
	ring := make([]*stream, 0, size)
	for i := range q.n {
		if s := q.ring[(q.head+i)&(len(q.ring)-1)]; s != nil {
			ring = append(ring, s)
		}
	}
	q.n, q.holes, q.head = len(ring), 0, 0
	q.ring = ring[:size]
}

// front returns the first stream; nil when there is none.
func (q *fifo) front() *stream {
	for q.n > 0 && q.ring[q.head] == nil {
		q.skip()
		q.holes--
	}
	if q.n == 0 {
		return nil
	}
	return q.ring[q.head]
}

// pop takes the first stream out, which front has returned.
func (q *fifo) pop() {
	q.ring[q.head] = nil
	q.skip()
}

func (q *fifo) skip() {
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
}

// remove takes s out, wherever it is. It is nearly always the first.
func (q *fifo) remove(s *stream) {
	if q.front() == s {
		q.pop()
		return
	}
	for i := range q.n {
		if at := (q.head + i) & (len(q.ring) - 1); q.ring[at] == s {
			q.ring[at] = nil
			q.holes++
			return
		}
	}
}
