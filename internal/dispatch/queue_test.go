package dispatch

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTheQueueBehavesLikeASlice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var q fifo
		var want []*stream
		for range 500 {
			switch op := rnd.IntN(10); {
			case op < 4:
				s := &stream{}
				q.push(s)
				want = append(want, s)
			case op < 5:
				s := &stream{}
				q.pushFront(s)
				want = slices.Insert(want, 0, s)
			case op < 7 && len(want) > 0:
				i := rnd.IntN(len(want))
				q.remove(want[i])
				want = slices.Delete(want, i, i+1)
			case op < 9 && len(want) > 0:
				if got := q.front(); got != want[0] {
					t.Fatal("another stream is first")
				}
				q.pop()
				want = want[1:]
			default:
				q.remove(&stream{}) // one that is not in it
			}
			if q.len() != len(want) {
				t.Fatalf("length %d, want %d", q.len(), len(want))
			}
		}
		for _, s := range want {
			if q.front() != s {
				t.Fatal("another order")
			}
			q.pop()
		}
		if q.front() != nil || q.len() != 0 {
			t.Fatal("not empty")
		}
	}
}

func TestTheQueueDoesNotGrowByWhatWasRemoved(t *testing.T) {
	var q fifo
	first := &stream{}
	q.push(first) // stays: a worker that hangs
	for range 100_000 {
		s := &stream{}
		q.push(s)
		q.remove(s)
	}
	if len(q.ring) > 64 {
		t.Fatalf("room for %d streams, to hold one", len(q.ring))
	}
	if q.front() != first || q.len() != 1 {
		t.Fatal("the first was lost")
	}
}
