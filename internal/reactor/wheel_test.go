package reactor

import (
	"testing"
	"time"
)

// ringer counts when its timer fired, in fake time.
type ringer struct {
	timer timer
	now   *time.Time
	fired []time.Time
	then  func()
}

func (r *ringer) expire() {
	r.fired = append(r.fired, *r.now)
	if r.then != nil {
		r.then()
	}
}

// clock is a wheel with a time that only the test moves.
type clock struct {
	wheel wheel
	start time.Time
	now   time.Time
}

func newClock() *clock {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := &clock{start: at, now: at}
	c.wheel.start(at)
	return c
}

func (c *clock) ringer() *ringer {
	r := &ringer{now: &c.now}
	r.timer.owner = r
	return r
}

// runTo moves the time in steps of at most step.
func (c *clock) runTo(at, step time.Duration) {
	for end := c.start.Add(at); c.now.Before(end); {
		c.now = c.now.Add(min(step, end.Sub(c.now)))
		c.wheel.advance(c.now)
	}
}

func TestATimerFiresNotEarlyAndOneTickLateAtMost(t *testing.T) {
	for _, after := range []time.Duration{
		0, time.Millisecond, Tick - 1, Tick, Tick + 1, time.Second, wheelSlots*Tick - 1, wheelSlots * Tick,
		wheelSlots*Tick + 1, 60 * time.Second, 10 * time.Minute, 24 * time.Hour,
	} {
		t.Run(after.String(), func(t *testing.T) {
			c := newClock()
			r := c.ringer()
			c.wheel.set(&r.timer, c.now, after)
			c.runTo(after-time.Second, 100*time.Millisecond)
			if len(r.fired) > 0 {
				t.Fatalf("fired at %v", r.fired[0].Sub(c.start))
			}
			c.runTo(after+2*Tick, 7*time.Millisecond)
			if len(r.fired) != 1 {
				t.Fatalf("fired %d times", len(r.fired))
			}
			if late := r.fired[0].Sub(c.start) - after; late < 0 || late > Tick+7*time.Millisecond {
				t.Fatalf("fired %v after its time", late)
			}
			if c.wheel.count != 0 {
				t.Fatalf("%d timers are left in the lists", c.wheel.count)
			}
		})
	}
}

func TestATimerThatIsMovedFiresOnceAtItsLastTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		moves []time.Duration // set, one after the other, 10 ms apart
	}{
		{"to later", []time.Duration{time.Second, 2 * time.Second, 90 * time.Second}},
		{"to earlier", []time.Duration{90 * time.Second, time.Second}},
		{"back and forth", []time.Duration{time.Second, 40 * time.Second, 300 * time.Millisecond, 26 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := newClock()
			r := clock.ringer()
			var due time.Duration
			for i, d := range c.moves {
				clock.runTo(time.Duration(i)*10*time.Millisecond, 10*time.Millisecond)
				due = clock.now.Sub(clock.start) + d
				clock.wheel.set(&r.timer, clock.now, d)
			}
			clock.runTo(due-1, 20*time.Millisecond)
			if len(r.fired) != 0 {
				t.Fatal("fired early")
			}
			clock.runTo(due+2*Tick, 20*time.Millisecond)
			if len(r.fired) != 1 {
				t.Fatalf("fired %d times", len(r.fired))
			}
		})
	}
}

func TestAStoppedTimerStaysSilentAndCanBeSetAgain(t *testing.T) {
	c := newClock()
	stopped, dropped := c.ringer(), c.ringer()
	for _, r := range []*ringer{stopped, dropped} {
		c.wheel.set(&r.timer, c.now, time.Second)
	}
	c.wheel.stop(&stopped.timer)
	c.wheel.drop(&dropped.timer)
	c.wheel.drop(&dropped.timer)
	if c.wheel.count != 1 {
		t.Fatalf("%d timers in the lists: drop takes out, stop does not", c.wheel.count)
	}
	c.runTo(2*time.Second, 30*time.Millisecond)
	if len(stopped.fired)+len(dropped.fired) != 0 {
		t.Fatal("fired although stopped")
	}
	c.wheel.set(&stopped.timer, c.now, time.Second)
	c.wheel.stop(&stopped.timer)
	c.wheel.set(&stopped.timer, c.now, time.Second)
	c.runTo(4*time.Second, 30*time.Millisecond)
	if len(stopped.fired) != 1 || c.wheel.count != 0 {
		t.Fatalf("fired %d times, %d left", len(stopped.fired), c.wheel.count)
	}
}

func TestATimerMaySetItselfAndDropOthersWhileItFires(t *testing.T) {
	c := newClock()
	a, b := c.ringer(), c.ringer()
	a.then = func() {
		c.wheel.drop(&b.timer)
		c.wheel.set(&a.timer, c.now, time.Second)
	}
	c.wheel.set(&a.timer, c.now, time.Second)
	c.wheel.set(&b.timer, c.now, time.Second) // the same slot, behind a
	c.runTo(10*time.Second+500*time.Millisecond, 20*time.Millisecond)
	if len(b.fired) != 0 {
		t.Fatal("a dropped timer fired")
	}
	if n := len(a.fired); n < 9 || n > 10 {
		t.Fatalf("fired %d times in ten seconds", n)
	}
}

func TestATimerFiresAfterALongSleepOfTheReactor(t *testing.T) {
	c := newClock()
	r := c.ringer()
	c.wheel.set(&r.timer, c.now, time.Second)
	c.runTo(time.Hour, time.Hour)
	if len(r.fired) != 1 {
		t.Fatalf("fired %d times", len(r.fired))
	}
}

func TestTimeoutIsTheTimeToTheNextTimer(t *testing.T) {
	c := newClock()
	if got := c.wheel.timeout(c.now); got >= 0 {
		t.Fatalf("without timers it sleeps %v, not for ever", got)
	}
	r := c.ringer()
	c.wheel.set(&r.timer, c.now, 3*time.Second)
	if got := c.wheel.timeout(c.now); got != 3*time.Second {
		t.Fatalf("sleeps %v", got)
	}
	c.runTo(time.Second, 20*time.Millisecond)
	if got := c.wheel.timeout(c.now); got != 2*time.Second {
		t.Fatalf("sleeps %v", got)
	}
	if got := c.wheel.timeout(c.now.Add(time.Minute)); got <= 0 {
		t.Fatalf("sleeps %v: a late reactor must look, not wait for ever", got)
	}
	far := c.ringer()
	c.wheel.drop(&r.timer)
	c.wheel.set(&far.timer, c.now, time.Hour)
	if got := c.wheel.timeout(c.now); got <= 0 || got > wheelSlots*Tick {
		t.Fatalf("sleeps %v: a timer beyond one round has to be moved in time", got)
	}
}
