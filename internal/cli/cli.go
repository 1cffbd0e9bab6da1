// Package cli is the awaitd command: it reads the arguments, runs the command they name, and prints what goes wrong. No other
// package prints an error or decides how the process exits. Signals are the server's business.
//
// The flags, their help and their completion come from config.Table; this package knows only how to spell them.
package cli

import (
	"context"
	"io"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// Env is what the command gets from the process it runs in; OS fills it. Tests fill it themselves.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // "NAME=value"
	Dir            string   // working folder

	// Terminal returns the width of the terminal that w writes to, or 0 if it is none.
	Terminal func(w io.Writer) int
	// Chdir changes the process's working folder.
	Chdir func(dir string) error
	// Serve runs the server until it ends.
	Serve func(context.Context, *config.Config) error
	// Check starts the application in one worker, and ends it.
	Check func(context.Context, *config.Config) error
	// Sidecar sends the requests of the program that started it.
	Sidecar func() error

	Version string
}

// Main runs the command with args, the program's name not among them, and returns the exit code.
func Main(args []string, env Env) int {
	err := run(args, env)
	report(env, err)
	return fault.CodeOf(err)
}

// run does what the arguments ask for.
func run(args []string, env Env) error {
	p := parse(args)
	switch {
	case p.actions["help"]:
		return help(env, p.command)
	case p.actions["version"]:
		return version(env)
	}
	return p.run(env)
}
