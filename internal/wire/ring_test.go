package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// worker plays the worker's end of a link, over the same memory.
type workerEnd struct {
	in  Consumer
	out Producer
}

func newWorkerEnd(l *Link) *workerEnd {
	size := l.Size()
	return &workerEnd{
		in:  Consumer{ring: ringAt(l.mem, offToWorker, headerPage, size)},
		out: Producer{ring: ringAt(l.mem, offToServer, headerPage+size, size)},
	}
}

func newTestLink(t testing.TB, size int) (*Link, *workerEnd) {
	t.Helper()
	bell, err := NewBell()
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLink(size, bell)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		bell.Close()
	})
	return l, newWorkerEnd(l)
}

func mustWrite(t *testing.T, p *Producer, h Header, payload []byte) {
	t.Helper()
	ok, err := p.WriteParts(h, payload)
	if !ok || err != nil {
		t.Fatalf("write: ok=%v err=%v", ok, err)
	}
}

func TestFramesArriveInOrderAcrossTheEndOfTheRing(t *testing.T) {
	l, w := newTestLink(t, MinRing)
	payload := make([]byte, 3000)
	for i := range 500 {
		n := (i * 611) % len(payload)
		for j := range payload[:n] {
			payload[j] = byte(i + j)
		}
		mustWrite(t, &w.out, Header{Stream: uint32(i), Type: Data, Length: uint32(n)}, payload[:n])
		w.out.Publish()
		f, ok, err := l.In.Next()
		if !ok || err != nil {
			t.Fatalf("frame %d: ok=%v err=%v", i, ok, err)
		}
		if f.Stream != uint32(i) || !bytes.Equal(f.Payload[:f.Length], payload[:n]) {
			t.Fatalf("frame %d arrived changed", i)
		}
		l.In.Release()
	}
}

func TestAFullRingTakesNothingMoreUntilItIsRead(t *testing.T) {
	l, w := newTestLink(t, MinRing)
	payload := make([]byte, MinRing/4-HeaderSize)
	written := 0
	for {
		ok, err := l.Out.WriteParts(Header{Stream: 1, Type: Data}, payload)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		written++
	}
	if written != 4 {
		t.Fatalf("the ring took %d quarter frames", written)
	}
	if l.Out.Fits(8) {
		t.Fatal("a full ring claims room")
	}
	l.Out.Publish()
	if ok, err := l.Out.Await(len(payload)); ok || err != nil {
		t.Fatalf("Await on a full ring: ok=%v err=%v", ok, err)
	}
	if _, ok, err := w.in.Next(); !ok || err != nil {
		t.Fatalf("read: ok=%v err=%v", ok, err)
	}
	if !w.in.Release() {
		t.Fatal("the consumer was not told to ring back")
	}
	mustWrite(t, &l.Out, Header{Stream: 2, Type: Data}, payload)
}

func TestTheDoorbellRingsOnlyForASleeper(t *testing.T) {
	l, w := newTestLink(t, MinRing)
	mustWrite(t, &w.out, Header{Stream: 1, Type: Data}, nil)
	if w.out.Publish() {
		t.Fatal("rang for a consumer that is awake")
	}
	if l.In.Arm() {
		t.Fatal("armed with a frame to read")
	}
	if _, ok, _ := l.In.Next(); !ok {
		t.Fatal("no frame")
	}
	if !l.In.Arm() {
		t.Fatal("not armed although empty")
	}
	mustWrite(t, &w.out, Header{Stream: 1, Type: Data}, nil)
	mustWrite(t, &w.out, Header{Stream: 1, Type: Data}, nil)
	if !w.out.Publish() {
		t.Fatal("a sleeper was not woken")
	}
	mustWrite(t, &w.out, Header{Stream: 1, Type: Data}, nil)
	if w.out.Publish() {
		t.Fatal("rang twice for one sleep")
	}
}

func TestTheServerRefusesWhatAHostileWorkerWrites(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(l *Link, w *workerEnd)
	}{
		{"a tail before the head", func(l *Link, _ *workerEnd) { l.In.ring.tail.Store(^uint64(0) - 7) }},
		{"a tail more than the ring away", func(l *Link, _ *workerEnd) { l.In.ring.tail.Store(MinRing + 8) }},
		{"an odd tail", func(l *Link, _ *workerEnd) { l.In.ring.tail.Store(13) }},
		{"a frame of size zero", func(l *Link, _ *workerEnd) { l.In.ring.tail.Store(16) }},
		{"a size that is no multiple of 8", func(l *Link, _ *workerEnd) {
			binary.LittleEndian.PutUint32(l.In.data, 17)
			l.In.ring.tail.Store(32)
		}},
		{"a frame shorter than its header", func(l *Link, _ *workerEnd) {
			binary.LittleEndian.PutUint32(l.In.data, 8)
			l.In.ring.tail.Store(32)
		}},
		{"a frame past the tail", func(l *Link, _ *workerEnd) {
			binary.LittleEndian.PutUint32(l.In.data, 64)
			l.In.ring.tail.Store(32)
		}},
		{"a frame larger than a quarter of the ring", func(l *Link, _ *workerEnd) {
			binary.LittleEndian.PutUint32(l.In.data, MinRing/2)
			l.In.ring.tail.Store(MinRing / 2)
		}},
		{"a pad past the end of the data", func(l *Link, _ *workerEnd) {
			binary.LittleEndian.PutUint32(l.In.data, 0xfffffff8)
			binary.LittleEndian.PutUint32(l.In.data[4:], pad)
			l.In.ring.tail.Store(MinRing)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, w := newTestLink(t, MinRing)
			c.spoil(l, w)
			_, _, err := l.In.Next()
			if _, ok := errors.AsType[Violation](err); !ok {
				t.Fatalf("got %v, want a violation", err)
			}
		})
	}
}

func TestTheServerRefusesAHeadOutOfRange(t *testing.T) {
	for name, head := range map[string]uint64{"past what was published": 64, "far away": ^uint64(0)} {
		t.Run(name, func(t *testing.T) {
			l, _ := newTestLink(t, MinRing)
			mustWrite(t, &l.Out, Header{Stream: 1, Type: Data}, nil)
			l.Out.Publish()
			l.Out.head.Store(head)
			if _, err := l.Out.Consumed(); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	t.Run("going back", func(t *testing.T) {
		l, w := newTestLink(t, MinRing)
		mustWrite(t, &l.Out, Header{Stream: 1, Type: Data}, nil)
		l.Out.Publish()
		if _, ok, _ := w.in.Next(); !ok {
			t.Fatal("no frame")
		}
		w.in.Release()
		if _, err := l.Out.Consumed(); err != nil {
			t.Fatal(err)
		}
		l.Out.head.Store(0)
		if _, err := l.Out.Consumed(); err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestARequestIsEitherTakenOrRevoked(t *testing.T) {
	l, w := newTestLink(t, MinRing)
	req := testRequest()
	for _, takenFirst := range []bool{true, false} {
		frame, _, err := AppendOpen(nil, l.Out.MaxFrame(), 7, req, 1)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := l.Out.Write(frame); !ok || err != nil {
			t.Fatal(ok, err)
		}
		end := l.Out.Position()
		l.Out.Publish()
		f, ok, err := w.in.Next()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		claim := f.Payload[offClaim-HeaderSize:]
		if takenFirst {
			claim[0] = claimTaken
		}
		if l.Out.Revoke(end, len(frame)) == takenFirst {
			t.Fatalf("taken first: %v, but the revocation went the other way", takenFirst)
		}
		if !takenFirst && claim[0] != claimRevoked {
			t.Fatal("the worker would start a revoked request")
		}
		w.in.Release()
	}
}
