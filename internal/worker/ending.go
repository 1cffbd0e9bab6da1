package worker

import (
	"github.com/awaitd/awaitd/internal/fault"
)

// Ending says how a worker ended.
type Ending struct {
	// Fault is set when the reason is the user's to mend: the application can't be imported, the interpreter has no awaitd.
	Fault *fault.Fault
	// How is the end in words: "exit status 1", "killed by SIGSEGV", "killed: wire violation: …".
	How string
	// Clean: it ended because it was told to, or, a program, because it had finished.
	Clean bool
}

// Ending tells how the worker ended, once Done is closed.
func (p *Process) Ending() Ending {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := Ending{How: p.status.String(), Clean: p.state == Stopped}
	switch {
	case p.problem != nil:
		e.Fault = p.problem
	case p.report != nil:
		e.Fault = &fault.Fault{
			Problem: p.report.Message, Hint: p.report.Hint, Trace: p.report.Traceback, Code: fault.Application,
		}
	case p.killed != "":
		e.How = "killed: " + p.killed
	}
	return e
}

// Silent says whether the worker ended before it said anything: the interpreter may lack awaitd.
func (p *Process) Silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info.Python == "" && p.killed == ""
}

// Speak passes on what a silent worker had printed: Python's own words about why it could not start.
func (p *Process) Speak() { p.early.Open() }
