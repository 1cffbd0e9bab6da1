package pool

import (
	"github.com/awaitd/awaitd/internal/worker"
)

// unready is the end of a worker that never became ready.
type unready struct {
	ending worker.Ending
	silent bool // it never said a word
	python worker.Interpreter
	speak  func() // lets out what it printed before its first word
}

// Error says how it ended, in the application's own words if there are any.
func (u *unready) Error() string {
	if u.ending.Fault != nil {
		return u.ending.Fault.Error()
	}
	return "the new worker ended before it was ready: " + u.ending.How
}

// Unwrap returns what is the user's to mend, if it is.
func (u *unready) Unwrap() error {
	if u.ending.Fault != nil {
		return u.ending.Fault
	}
	return nil
}
