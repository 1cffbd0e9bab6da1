package worker

// State of a worker's life:
//
//	starting → booting → ready → draining → stopped
//	    |         |        |         |
//	    +---------+--------+---------+----→ failed
type State uint8

// States.
const (
	Starting State = iota // the process runs, nothing was heard of it
	Booting               // it said hello, and imports the application
	Ready                 // it takes requests
	Draining              // it finishes what it has, and takes nothing new
	Stopped               // it ended as it was told to
	Failed                // it ended otherwise
)

// String names the state for logs.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Booting:
		return "booting"
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	case Stopped:
		return "stopped"
	case Failed:
		return "failed"
	}
	return "unknown"
}

// next holds the states that may follow each state.
var next = [...][]State{
	Starting: {Booting, Stopped, Failed},
	Booting:  {Ready, Stopped, Failed},
	Ready:    {Draining, Stopped, Failed},
	Draining: {Stopped, Failed},
	Stopped:  {},
	Failed:   {},
}

// may says whether to may follow s.
func (s State) may(to State) bool {
	for _, n := range next[s] {
		if n == to {
			return true
		}
	}
	return false
}
