package cli

import (
	"errors"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// action is a flag that asks for something to be done; it is no setting.
type action struct {
	name, short, prose string
	command            string // the only command that knows it; empty: every one
}

var actions = []action{
	{name: "check-config", prose: "Check the settings, start the application in one worker, and exit."},
	{name: "print-config", prose: "Show every setting, its value and where it comes from, and exit."},
	{name: "schema", prose: "With `config`: show the JSON Schema of `awaitd.toml`.", command: "config"},
	{name: "json", prose: "With `status`: show it as JSON.", command: "status"},
	{name: "version", prose: "Show the version and exit."},
	{name: "help", short: "h", prose: "Show this help and exit."},
}

func actionOf(name string) *action {
	for i := range actions {
		if a := &actions[i]; a.name == name || a.short != "" && a.short == name {
			return a
		}
	}
	return nil
}

// parsed is a command line.
type parsed struct {
	command  string
	args     []string // after the command
	flags    []config.FlagValue
	actions  map[string]bool
	problems []error
	unknown  bool // some flag is unknown, so what follows it may be its value
	module   bool // of run: the program is a module
}

// parse reads a command line: flags and arguments in any order, `--` in front of the last arguments. Behind the program of `run`
// there are no flags of ours, and -m is Python's. It goes on after a mistake.
func parse(args []string) *parsed {
	p := &parsed{actions: map[string]bool{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		running := len(p.args) > 0 && p.args[0] == runs
		switch {
		case arg == "--", running && arg == "-m":
			p.module = arg == "-m"
			p.args = append(p.args, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			args = p.long(arg, args)
		case len(arg) > 1 && arg[0] == '-':
			args = p.short(arg, args)
		case running: // all that follows is the program's
			p.args = append(append(p.args, arg), args...)
			args = nil
		default:
			p.args = append(p.args, arg)
		}
	}
	p.command = serve
	if len(p.args) > 0 && isCommand(p.args[0]) {
		p.command, p.args = p.args[0], p.args[1:]
	}
	for name := range p.actions {
		if a := actionOf(name); a.command != "" && a.command != p.command {
			p.problem("`--%s` goes with `awaitd %s`", name, a.command)
		}
	}
	return p
}

func (p *parsed) problem(format string, args ...any) *fault.Fault {
	f := fault.Usagef(format, args...)
	p.problems = append(p.problems, f)
	return f
}

// long reads --name, --name=value, --name value and --no-name; it returns the arguments that are left.
func (p *parsed) long(arg string, rest []string) []string {
	name, value, inline := strings.Cut(arg[2:], "=")
	typed := "--" + name
	name = strings.ReplaceAll(name, "_", "-")
	if a := actionOf(name); a != nil && len(name) > 1 && !inline {
		p.actions[a.name] = true
		return rest
	}
	if s := longFlag(name); s != nil {
		return p.take(s, typed, value, inline, rest)
	}
	if s := longFlag(strings.TrimPrefix(name, "no-")); s != nil && s.Shape().Bool && !inline {
		p.flags = append(p.flags, config.FlagValue{Setting: s, Text: "false", Typed: typed})
		return rest
	}
	return p.stranger(typed, value, inline, rest)
}

// longFlag finds a setting by its long flag.
func longFlag(name string) *config.Setting {
	if len(name) < 2 {
		return nil
	}
	return config.ByFlag(name)
}

// short reads -b value, -bvalue and -b=value.
func (p *parsed) short(arg string, rest []string) []string {
	letter, value := arg[1:2], strings.TrimPrefix(arg[2:], "=")
	inline := len(arg) > 2
	if a := actionOf(letter); a != nil && !inline {
		p.actions[a.name] = true
		return rest
	}
	if s := config.ByFlag(letter); s != nil {
		return p.take(s, "-"+letter, value, inline, rest)
	}
	return p.stranger("-"+letter, value, inline, rest)
}

// take notes the value of a setting's flag: the one joined to it, else the next argument; of a switch
// only `true` or `false`.
func (p *parsed) take(s *config.Setting, typed, value string, inline bool, rest []string) []string {
	if !inline {
		switch {
		case s.Shape().Bool && len(rest) > 0 && isTruth(rest[0]): // uvicorn's way
			value, rest = rest[0], rest[1:]
		case s.Shape().Bool:
			value = "true"
		case len(rest) == 0 || looksLikeFlag(rest[0]):
			p.problem("`%s` needs a value: `%s %s`", typed, typed, s.Arg)
			return rest
		default:
			value, rest = rest[0], rest[1:]
		}
	}
	if !p.otherMeaning(typed, value) {
		p.flags = append(p.flags, config.FlagValue{Setting: s, Text: value, Typed: typed})
	}
	return rest
}

// isTruth tells whether a word behind a switch is its value: no application is called so.
func isTruth(arg string) bool {
	return strings.EqualFold(arg, "true") || strings.EqualFold(arg, "false")
}

// looksLikeFlag tells a flag from a value such as -1 or -.
func looksLikeFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && (arg[1] < '0' || arg[1] > '9')
}

// stranger reports a flag that is no setting of ours, and skips its value if a flag it is likely meant for has one.
func (p *parsed) stranger(typed, value string, inline bool, rest []string) []string {
	p.unknown = true
	takesValue := false
	if peer, ok := peerOf(typed); ok {
		takesValue = peer.value
		peer.report(p, typed, value, rest)
	} else if near := nearestFlag(typed); near != "" {
		s := longFlag(strings.TrimPrefix(near, "--"))
		takesValue = s != nil && !s.Shape().Bool
		p.problem("unknown flag `%s`", typed).WithHint("did you mean `%s`?", near)
	} else {
		p.problem("unknown flag `%s`", typed).WithHint("`awaitd --help` lists them all")
	}
	if takesValue && !inline && len(rest) > 0 && !looksLikeFlag(rest[0]) {
		return rest[1:]
	}
	return rest
}

// nearestFlag returns the long flag that typed is most likely a slip of.
func nearestFlag(typed string) string {
	name, long := strings.CutPrefix(strings.ReplaceAll(typed, "_", "-"), "--")
	if !long {
		return ""
	}
	var names []string
	for i := range config.Table {
		s := &config.Table[i]
		if s.Positional {
			continue
		}
		names = append(append(names, s.Name), s.Aliases...)
		if s.Shape().Bool {
			names = append(names, "no-"+s.Name)
		}
	}
	for _, a := range actions {
		names = append(names, a.name)
	}
	if near := config.Nearest(name, names); near != "" {
		return "--" + near
	}
	return ""
}

// load reads the settings; the problems of the command line come first.
func (p *parsed) load(env Env, needTarget bool) (*config.Loaded, error) {
	p.target()
	loaded, err := config.Load(config.Input{Flags: p.flags, Environ: env.Environ, Dir: env.Dir, NeedTarget: needTarget})
	return loaded, errors.Join(append(p.problems, err)...)
}

// target takes the argument that names the application. Behind an unknown flag an argument may be anything.
func (p *parsed) target() {
	if len(p.args) > 0 {
		target := config.FlagValue{Setting: config.ByName("target"), Text: p.args[0], Typed: "target"}
		p.flags = append(p.flags, target)
	}
	if len(p.args) > 1 && !p.unknown {
		p.problem("one application at a time: got `%s`", strings.Join(p.args, "` and `"))
	}
}
