package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/awaitd/awaitd/internal/fault"
)

// report prints err: each of the errors that it joins, with its hint, after the application's traceback if there is one.
func report(env Env, err error) {
	paint := painter(env)
	for _, e := range flatten(err) {
		f, ok := e.(*fault.Fault)
		if !ok {
			f = &fault.Fault{Problem: e.Error()}
		}
		printFault(env.Stderr, f, paint)
	}
}

// flatten lists the errors that err joins, at any depth.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

func printFault(w io.Writer, f *fault.Fault, paint func(colour, text string) string) {
	if f.Trace != "" {
		fmt.Fprintln(w, strings.TrimRight(f.Trace, "\n"))
	}
	fmt.Fprintln(w, paint(red, "error:"), f.Problem)
	if f.Hint != "" {
		fmt.Fprintln(w, paint(cyan, "hint:"), f.Hint)
	}
}

// Colours, as the parameters of an SGR sequence.
const (
	red  = "1;31"
	cyan = "1;36"
)

// painter returns what colours a text on standard error: nothing does unless that is a terminal and its user allows it.
func painter(env Env) func(colour, text string) string {
	if env.Terminal(env.Stderr) == 0 || env.variable("NO_COLOR") != "" || env.variable("TERM") == "dumb" {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}

// variable returns an environment variable.
func (e Env) variable(name string) string {
	value := ""
	for _, text := range e.Environ {
		if found, ok := strings.CutPrefix(text, name+"="); ok {
			value = found
		}
	}
	return value
}
