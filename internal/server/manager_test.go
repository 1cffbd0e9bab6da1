package server

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/awaitd/awaitd/internal/reactor"
)

// idle is a source that has no work.
type idle struct{}

func (idle) Poll() int           { return 0 }
func (idle) Arm() bool           { return true }
func (idle) Disarm()             {}
func (idle) Flush()              {}
func (idle) Wait() time.Duration { return -1 }

// spec: protocols 11
func TestReactorsHaveAnsweredOnlyWhenEachHas(t *testing.T) {
	s := &Server{}
	for range 3 {
		r, err := reactor.New()
		if err != nil {
			t.Fatal(err)
		}
		r.Attach(idle{})
		s.stations = append(s.stations, &station{reactor: r})
		s.running.Go(r.Run) // ends below
	}
	<-s.answered()
	hang, hangs, others := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	s.stations[1].reactor.Post(func() {
		close(hangs)
		<-hang
	})
	<-hangs
	all := s.answered()
	for _, i := range []int{0, 2} {
		s.stations[i].reactor.Post(func() { others <- struct{}{} })
	}
	<-others
	<-others // have answered by now
	select {
	case <-all:
		t.Error("a reactor that hangs is said to have answered")
	default:
	}
	close(hang)
	<-all
	for _, st := range s.stations {
		st.reactor.Post(st.reactor.Stop)
	}
	s.running.Wait()
	for _, st := range s.stations {
		st.reactor.Close()
	}
}

// spec: protocols 11
func TestSignsOfLifeComeTwiceInTheTimeAndOnlyWithAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var answer atomic.Value
		given := make(chan struct{})
		close(given)
		answer.Store(given)
		signs, end, ended := make(chan time.Duration, 9), make(chan struct{}), make(chan struct{})
		go func() { // ends by end
			vigil(10*time.Second, func() <-chan struct{} { return answer.Load().(chan struct{}) }, func() { signs <- time.Since(begun) }, end)
			close(ended)
		}()
		for _, want := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
			if got := <-signs; got != want {
				t.Errorf("a sign after %v, not %v", got, want)
			}
		}
		hangs := make(chan struct{})
		answer.Store(hangs)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(signs) > 0 {
			t.Error("a sign of life of a reactor that hangs")
		}
		close(hangs)
		if got := <-signs; got != 10*time.Second+time.Hour {
			t.Errorf("after it had answered, a sign after %v", got)
		}
		close(end)
		<-ended
	})
}
