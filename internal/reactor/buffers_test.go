package reactor

import (
	"bytes"
	"testing"
)

func TestABufferComesInTheSmallestSizeThatFits(t *testing.T) {
	for _, c := range []struct{ want, capacity int }{
		{0, 1 << 10},
		{1, 1 << 10},
		{1 << 10, 1 << 10},
		{1<<10 + 1, 8 << 10},
		{8<<10 + 1, 80 << 10},
		{80 << 10, 80 << 10},
		{80<<10 + 1, 80<<10 + 1},
	} {
		var b buffers
		if got := b.get(c.want); len(got) != 0 || cap(got) != c.capacity {
			t.Errorf("get(%d): %d of %d", c.want, len(got), cap(got))
		}
	}
}

func TestABufferThatWasGivenBackIsLentAgain(t *testing.T) {
	var b buffers
	first := append(b.get(100), "old"...)
	b.put(first)
	again := b.get(100)
	if len(again) != 0 || &again[:1][0] != &first[0] {
		t.Fatal("a new buffer, or one that is not empty")
	}
	if other := b.get(100); &other[:1][0] == &first[0] {
		t.Fatal("one buffer lent twice")
	}
}

func TestTheStockIsBounded(t *testing.T) {
	var b buffers
	for range 2 * keepBuffers {
		b.put(make([]byte, 0, 1<<10))
	}
	b.put(make([]byte, 0, 333)) // not one of its sizes
	b.put(nil)
	if n := len(b.stock[0]); n != keepBuffers {
		t.Fatalf("%d buffers kept", n)
	}
	if len(b.stock[1])+len(b.stock[2]) != 0 {
		t.Fatal("a buffer of another size was kept")
	}
}

func TestAddKeepsWhatThereIsAndGivesTheSmallerBufferBack(t *testing.T) {
	var b buffers
	var buf, want []byte
	piece := bytes.Repeat([]byte("0123456789"), 70)
	for range 200 {
		buf = b.add(buf, piece)
		want = append(want, piece...)
		if !bytes.Equal(buf, want) {
			t.Fatalf("changed at %d bytes", len(want))
		}
	}
	if len(b.stock[0]) != 1 || len(b.stock[1]) != 1 || len(b.stock[2]) != 1 {
		t.Fatalf("kept %d, %d, %d: each size was outgrown once", len(b.stock[0]), len(b.stock[1]), len(b.stock[2]))
	}
}
