package fault

import (
	"fmt"
	"strings"
	"time"
)

// Stage is how far a worker came before it failed to start; the values are those of the wire's `failed` message.
type Stage string

// Stages.
const (
	Setup    Stage = "setup"
	Import   Stage = "import"
	Lifespan Stage = "lifespan"
)

// Report is what a worker says about its failure to start.
type Report struct {
	Stage                    Stage
	Message, Hint, Traceback string
}

// Start is the failure of an application to start, as its worker reports it.
func Start(target string, r Report) *Fault {
	verb := "start"
	if r.Stage == Import {
		verb = "import"
	}
	return &Fault{
		Problem: fmt.Sprintf("can't %s `%s`: %s", verb, target, strings.TrimSuffix(r.Message, ".")),
		Hint:    r.Hint,
		Trace:   r.Traceback,
		Code:    Application,
	}
}

// StartTimeout is an application that is not ready in time.
func StartTimeout(target string, limit time.Duration) *Fault {
	return &Fault{
		Problem: fmt.Sprintf("can't start `%s`: not ready after %v", target, limit),
		Hint:    "give it longer with `--timeout-startup`",
		Code:    Application,
	}
}

// CrashLoop is an application whose workers exited again and again before they were ready. How says how the last one ended
// ("killed by SIGSEGV", "exit status 1"), trace is its last traceback.
func CrashLoop(target string, boots int, how, trace string) *Fault {
	return &Fault{
		Problem: fmt.Sprintf("can't start `%s`: %d workers in a row ended before they were ready, the last one: %s", target, boots, how),
		Trace:   trace,
		Code:    Application,
	}
}

// Ended is a program that ended before it was ready. It has said itself why, if at all.
func Ended(target, how string) *Fault {
	return &Fault{Problem: fmt.Sprintf("can't start `%s`: it ended before it was ready: %s", target, how), Code: Application}
}
