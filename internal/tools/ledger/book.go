package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// outcome is how a request ended: a status code with a whole answer, or one of these.
type outcome int

// Outcomes that are no status.
const (
	refused    outcome = iota + 1 // the connection was
	reset                         // by the server, at any time
	unanswered                    // the server ended the connection before it said a word
	cut                           // it ended the connection in the middle of its answer
	wrong                         // a 200 with another body, or an answer against the rules
	timedOut                      // no whole answer in time
	aborted                       // by this client, on purpose
	failed                        // this client could not: no descriptors, no ports
)

var outcomes = map[outcome]string{
	refused: "refused", reset: "reset", unanswered: "unanswered", cut: "cut", wrong: "wrong", timedOut: "timeout",
	aborted: "aborted", failed: "failed",
}

func (o outcome) String() string {
	if name := outcomes[o]; name != "" {
		return name
	}
	return strconv.Itoa(int(o))
}

// keptNotes is how many failures the summary tells about.
const keptNotes = 20

// book counts requests, and how they ended. All clients write to one.
type book struct {
	mu    sync.Mutex
	kinds map[string]map[string]int // kind → outcome → requests
	notes []string
	sent  int
	ended int
	lines *bufio.Writer // nil without a file
}

// summary is what is printed in the end. What was sent has ended, or is open.
type summary struct {
	Seed     uint64                    `json:"seed"`
	Seconds  float64                   `json:"seconds"`
	Sent     int                       `json:"sent"`
	Ended    int                       `json:"ended"`
	Open     int                       `json:"open"`
	Outcomes map[string]int            `json:"outcomes"`
	Kinds    map[string]map[string]int `json:"kinds"`
	Notes    []string                  `json:"notes"`
}

func newBook() *book { return &book{kinds: map[string]map[string]int{}, notes: []string{}} }

// keep has each request that ends written to w.
func (b *book) keep(w io.Writer) { b.lines = bufio.NewWriter(w) }

// begin counts a request as sent.
func (b *book) begin() {
	b.mu.Lock()
	b.sent++
	b.mu.Unlock()
}

// end writes down how it ended; why says more of a failure.
func (b *book) end(r *request, sent, ended time.Time, o outcome, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended++
	kind := b.kinds[r.kind]
	if kind == nil {
		kind = map[string]int{}
		b.kinds[r.kind] = kind
	}
	kind[o.String()]++
	if why != nil && len(b.notes) < keptNotes {
		b.notes = append(b.notes, fmt.Sprintf("%s %s: %s: %v", r.kind, r.id, o, why))
	}
	if b.lines != nil {
		fmt.Fprintf(b.lines, "%s %s %d %d %s\n", r.id, r.kind, sent.UnixNano(), ended.UnixNano(), o)
	}
}

// summary adds up. The error is that of the file.
func (b *book) summary() (summary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := summary{Sent: b.sent, Ended: b.ended, Open: b.sent - b.ended, Notes: b.notes}
	s.Outcomes, s.Kinds = map[string]int{}, map[string]map[string]int{}
	for kind, ends := range b.kinds {
		s.Kinds[kind] = map[string]int{}
		for o, n := range ends {
			s.Kinds[kind][o] += n
			s.Outcomes[o] += n
		}
	}
	if b.lines == nil {
		return s, nil
	}
	return s, b.lines.Flush()
}
