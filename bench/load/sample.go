//go:build linux

package main

import (
	"slices"
	"time"
)

// keptReasons is how many different failures are told apart.
const keptReasons = 5

// preallocated is how many samples there is room for from the start.
const preallocated = 1 << 22

// sample collects one run. Every latency is kept: exact percentiles, no histogram.
type sample struct {
	latency  []time.Duration // since due, of each right answer
	kinds    []kindSample    // the same by kind; empty without a mix
	late     []time.Duration // this client's own lateness: from when a request was due and a connection free
	bytes    int
	answered int
	ended    int // connections that the server ended when no reply was due, or with one
	failures int
	reasons  []string
}

// kindSample is the part of a sample that one kind of request has.
type kindSample struct {
	path    string
	latency []time.Duration
}

// result is what one line of output says. Latencies are in microseconds.
type result struct {
	Requests int       `json:"requests"`
	Failures int       `json:"failures"`
	Reasons  []string  `json:"reasons"`
	Seconds  float64   `json:"seconds"`
	Bytes    int       `json:"bytes"`
	Ended    int       `json:"ended"`
	Latency  quantiles `json:"latency_us"`
	Late     quantiles `json:"late_us"`
	CPU      float64   `json:"client_cpu_us"`

	Kinds map[string]kindResult `json:"kinds,omitempty"` // by path
}

type kindResult struct {
	Requests int       `json:"requests"`
	Latency  quantiles `json:"latency_us"`
}

type quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func newSample(n int, kinds []kind) sample {
	n = min(n, preallocated)
	s := sample{latency: make([]time.Duration, 0, n), late: make([]time.Duration, 0, n), reasons: []string{}}
	if len(kinds) > 1 {
		for _, k := range kinds {
			s.kinds = append(s.kinds, kindSample{k.path, make([]time.Duration, 0, n)})
		}
	}
	return s
}

func (s *sample) add(of uint8, latency time.Duration) {
	s.answered++
	s.latency = append(s.latency, latency)
	if len(s.kinds) > 0 {
		s.kinds[of].latency = append(s.kinds[of].latency, latency)
	}
}

func (s *sample) fail(err error) {
	s.failures++
	if text := err.Error(); len(s.reasons) < keptReasons && !slices.Contains(s.reasons, text) {
		s.reasons = append(s.reasons, text)
	}
}

func (s *sample) result(took, cpu time.Duration) result {
	r := result{
		Requests: s.answered, Failures: s.failures, Reasons: s.reasons, Seconds: took.Seconds(), Bytes: s.bytes, Ended: s.ended,
		Latency: quantilesOf(s.latency), Late: quantilesOf(s.late), CPU: micros(cpu),
	}
	for _, k := range s.kinds {
		if r.Kinds == nil {
			r.Kinds = map[string]kindResult{}
		}
		r.Kinds[k.path] = kindResult{len(k.latency), quantilesOf(k.latency)}
	}
	return r
}

// quantilesOf sorts d and takes the nearest rank: the smallest value that q of all are at or below.
func quantilesOf(d []time.Duration) quantiles {
	if len(d) == 0 {
		return quantiles{}
	}
	slices.Sort(d)
	at := func(permille int) float64 {
		return micros(d[max((len(d)*permille+999)/1000, 1)-1])
	}
	return quantiles{P50: at(500), P90: at(900), P99: at(990), P999: at(999), Max: at(1000)}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
