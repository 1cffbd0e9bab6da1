package cli

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// supervise runs a program.
func (p *parsed) supervise(env Env) error {
	for _, name := range slices.Sorted(maps.Keys(p.actions)) {
		p.problem("`--%s` does not go with `awaitd run`", name)
	}
	for _, f := range p.flags {
		if !f.Setting.Run {
			p.problem("`%s` does not go with `awaitd run`", f.Typed).WithHint("`awaitd run --help` shows what does")
		}
	}
	if len(p.args) == 0 && !p.unknown {
		p.problem("no program is named").WithHint("name a file or a module: `awaitd run server.py`, `awaitd run -m server`")
	}
	loaded, err := config.Load(config.Input{Flags: p.flags, Environ: env.Environ, Dir: env.Dir})
	if err = errors.Join(append(p.problems, err)...); err != nil {
		return err
	}
	c := loaded.Config
	c.Supervise(p.program())
	if err := errors.Join(checkProgram(c), checkSpoken(c), enter(env, c)); err != nil {
		return err
	}
	return env.Serve(context.Background(), c)
}

// program returns what the arguments name.
func (p *parsed) program() *config.Supervised {
	program := &config.Supervised{Args: p.args[1:]}
	if p.module {
		program.Module = p.args[0]
	} else {
		program.Script = p.args[0]
	}
	return program
}

// checkProgram looks whether a script is there. What is a module, Python knows.
func checkProgram(c *config.Config) error {
	script := c.Program.Script
	if script == "" {
		return nil
	}
	path := script
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	_, err := os.Stat(path)
	if err == nil {
		return nil
	}
	f := fault.Usagef("can't run `%s`: %v", script, innermost(err))
	if !strings.ContainsAny(script, "./") {
		f.Hint = "the program is a file of Python; a module is run by `awaitd run -m " + script + "`"
	}
	return f
}

// checkSpoken refuses addresses at which the server itself would have to speak a protocol.
func checkSpoken(c *config.Config) error {
	for _, at := range c.Addresses() {
		own := at.Protocol != config.HTTP
		without := string(at.Protocol) + "://"
		if at.Protocol == config.Datagrams {
			own, without = at.Target != "", "="+at.Target
		}
		if own {
			return fault.Usagef("`%s` does not go with `awaitd run`: what is spoken there is the program's business", at).
				WithHint("leave out the `%s`", without)
		}
	}
	return nil
}
