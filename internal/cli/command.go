package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// serve is the command that runs when none is named; runs is the one whose arguments are a program's, flags among them.
const (
	serve = "serve"
	runs  = "run"
)

// sidecar is the command by which the Python package has requests sent outside of a server; no help names it.
const sidecar = "sidecar"

// command is one thing that awaitd does, as help and completion show it.
type command struct{ name, args, prose string }

var commands = []command{
	{serve, "TARGET", "Run an application; the command when none is named."},
	{runs, "PROGRAM [ARGS]", "Supervise a Python program that serves its sockets itself; `awaitd run --help` shows its flags."},
	{"check", "TARGET", "Check the settings, start the application in one worker, and exit."},
	{"config", "[TARGET]", "Show every setting, its value and where it comes from."},
	{"status", "", "Show how a running server and its workers are."},
	{"stacks", "[WORKER]", "Show what a running server's workers do: their Python stacks."},
	{"reload", "", "Replace a running server's workers by new ones, without a pause."},
	{"stop", "", "Stop a running server, when it has finished what it does."},
	{"version", "", "Show the version."},
	{"completion", "bash|zsh|fish", "Print a script that completes the command in a shell."},
}

func isCommand(name string) bool {
	return name == sidecar || slices.ContainsFunc(commands, func(c command) bool { return c.name == name })
}

// run does what a command line asks for.
func (p *parsed) run(env Env) error {
	switch p.command {
	case runs:
		return p.supervise(env)
	case "check":
		return p.check(env)
	case "config":
		return p.config(env)
	case "status", "stacks", "reload", "stop":
		return p.steer(env)
	case sidecar:
		return env.Sidecar()
	case "version":
		return version(env)
	case "completion":
		return p.completion(env)
	}
	return p.serve(env)
}

func (p *parsed) serve(env Env) error {
	switch {
	case p.actions["check-config"]:
		return p.check(env)
	case p.actions["print-config"]:
		return p.config(env)
	}
	c, err := p.application(env)
	if err != nil {
		return err
	}
	return env.Serve(context.Background(), c)
}

func (p *parsed) check(env Env) error {
	c, err := p.application(env)
	if err != nil {
		return err
	}
	if err := env.Check(context.Background(), c); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "The settings are correct and `%s` starts.\n", c.What())
	return err
}

// application returns the settings for running an application, and enters its working folder.
func (p *parsed) application(env Env) (*config.Config, error) {
	loaded, err := p.load(env, !p.unknown)
	if err != nil {
		return nil, err
	}
	return loaded.Config, enter(env, loaded.Config)
}

// enter changes to the working folder.
func enter(env Env, c *config.Config) error {
	if c.Dir == env.Dir {
		return nil
	}
	if err := env.Chdir(c.Dir); err != nil {
		return fault.Usagef("can't change to `%s`: %v", c.Dir, err)
	}
	return nil
}

func (p *parsed) config(env Env) error {
	if p.actions["schema"] {
		encoder := json.NewEncoder(env.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(config.Schema())
	}
	loaded, err := p.load(env, false)
	if err != nil {
		return err
	}
	return printConfig(env, loaded)
}

func version(env Env) error {
	_, err := fmt.Fprintf(env.Stdout, "awaitd %s (%s, %s/%s)\n", env.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
