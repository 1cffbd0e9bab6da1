package worker

// State of a worker's life:
//
//	starting → booting → ready → draining → stopped
//	    |         |        |         |
//	    +---------+--------+---------+----→ failed
//
// A program, which says nothing of itself here, is ready when it has notified or stayed alive; it may stop from booting on.
type State uint8

// States.
const (
	Starting State = iota // the process runs, nothing was heard of it
	Booting               // it said hello, and imports the application
	Ready                 // it takes requests
	Draining              // it finishes what it has, and takes nothing new
	Stopped               // it ended as it was told to, or of itself, having finished
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

// event is what changes a worker's state.
type event uint8

const (
	saidHello event = iota
	saidReady
	toldToEnd // that nothing new comes, or to stop
	endedWell // by itself, and without a complaint
	finished  // a program: by itself, or as it was told to, and well
	endedOtherwise
	events
)

// never: an event that may not happen in a state.
const never = State(0xff)

// next is what each event makes of each state.
var next = [...][events]State{
	//         saidHello, saidReady, toldToEnd, endedWell, finished, endedOtherwise
	Starting: {Booting, never, never, Failed, Failed, Failed},
	Booting:  {never, Ready, never, Failed, Stopped, Failed},
	Ready:    {never, never, Draining, Failed, Stopped, Failed},
	Draining: {never, never, never, Stopped, Stopped, Failed},
	Stopped:  {never, never, never, never, never, never},
	Failed:   {never, never, never, never, never, never},
}

// enter changes the state as an event does. It reports false if that may not happen now.
func (p *Process) enter(e event) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := next[p.state][e]
	if to != never {
		p.state = to
	}
	return to != never
}
