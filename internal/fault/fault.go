// Package fault is the form of an error that a user sees: what can't be done, why, what to do about it, and the exit code it
// leads to. Any package may return one; only cli prints it.
package fault

import "errors"

// Exit codes of the command.
const (
	OK          = 0 // a clean end
	Runtime     = 1 // a failure while running
	Usage       = 2 // usage or configuration
	Application = 3 // the application failed to start
)

// Fault is an error with what a user needs to mend it.
type Fault struct {
	Problem string // "can't listen on 127.0.0.1:8000: address already in use"; no final full stop
	Hint    string // "pick another address with `--port 8001`"; empty when nothing can be done
	Trace   string // the application's own traceback, printed as it is, once
	Code    int    // exit code
	Cause   error
}

// Error returns the problem alone.
func (f *Fault) Error() string { return f.Problem }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// CodeOf returns the exit code that err leads to: 0 for nil, its Fault's, else Runtime.
func CodeOf(err error) int {
	if err == nil {
		return OK
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Code
	}
	return Runtime
}
