package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// completion prints the script that completes awaitd's commands and flags in a shell.
func (p *parsed) completion(env Env) error {
	if len(p.problems) > 0 {
		return p.problems[0]
	}
	if len(p.args) != 1 {
		return fault.Usagef("no shell is named").WithHint("one of `awaitd completion bash`, `zsh` or `fish`")
	}
	var script string
	switch p.args[0] {
	case "bash":
		script = bashCompletion()
	case "zsh":
		script = zshCompletion()
	case "fish":
		script = fishCompletion()
	default:
		return fault.Usagef("can't complete in `%s`: only in bash, zsh and fish", p.args[0])
	}
	_, err := io.WriteString(env.Stdout, script)
	return err
}

// completed is a flag as a shell should know it.
type completed struct {
	long, short, prose string
	value              bool // takes one
	words              []string
	path               config.PathKind
}

// completedFlags lists every flag: those of the settings, their negations and aliases, and the actions.
func completedFlags() []completed {
	var flags []completed
	for i := range config.Table {
		s := &config.Table[i]
		if s.Positional {
			continue
		}
		shape := s.Shape()
		flag := completed{long: s.Name, short: s.Short, prose: firstSentence(s.Prose), value: !shape.Bool, words: shape.Choices, path: shape.Path}
		flags = append(flags, flag)
		for _, alias := range s.Aliases {
			flag.long, flag.short = alias, ""
			flags = append(flags, flag)
		}
		if shape.Bool {
			flags = append(flags, completed{long: "no-" + s.Name, prose: "The opposite of --" + s.Name + "."})
		}
	}
	for _, a := range actions {
		flags = append(flags, completed{long: a.name, short: a.short, prose: a.prose})
	}
	return flags
}

// firstSentence returns text up to its first full stop or semicolon, without code marks.
func firstSentence(text string) string {
	end := len(text)
	for _, stop := range []string{". ", "; ", ": "} {
		if i := strings.Index(text, stop); i >= 0 {
			end = min(end, i)
		}
	}
	return strings.TrimSuffix(strings.ReplaceAll(text[:end], "`", ""), ".")
}

func commandWords() string {
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

func bashCompletion() string {
	var cases, all strings.Builder
	for _, f := range completedFlags() {
		names := "--" + f.long
		all.WriteString(" --" + f.long)
		if f.short != "" {
			names += "|-" + f.short
		}
		if action := f.bashAction(); action != "" {
			fmt.Fprintf(&cases, "    %s) %s; return ;;\n", names, action)
		}
	}
	return fmt.Sprintf(bashScript, cases.String(), strings.TrimSpace(all.String()), commandWords())
}

// bashAction is what completes the flag's value; empty: it has none.
func (f completed) bashAction() string {
	switch {
	case !f.value:
		return ""
	case f.path == config.Folder:
		return `COMPREPLY=($(compgen -d -- "$cur"))`
	case f.path != config.NoPath:
		return `COMPREPLY=($(compgen -f -- "$cur"))`
	}
	return fmt.Sprintf(`COMPREPLY=($(compgen -W "%s" -- "$cur"))`, strings.Join(f.words, " "))
}

const bashScript = `# bash completion for awaitd: source <(awaitd completion bash)
_awaitd() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [[ $cur == = ]]; then # --flag=
    cur=
  elif [[ $prev == = ]]; then # --flag=val
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $prev in
%s    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur")); return ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "%s" -- "$cur"))
  elif [[ ${COMP_WORDS[1]} == run ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  elif [[ $COMP_CWORD == 1 ]]; then
    COMPREPLY=($(compgen -W "%s" -- "$cur"))
  fi
}
complete -o filenames -F _awaitd awaitd
`

func zshCompletion() string {
	var specs strings.Builder
	for _, f := range completedFlags() {
		fmt.Fprintf(&specs, "    '--%s%s[%s]%s' \\\n", f.long, f.zshJoin(), zshQuote(f.prose), f.zshAction())
		if f.short != "" {
			fmt.Fprintf(&specs, "    '-%s%s[%s]%s' \\\n", f.short, f.zshShortJoin(), zshQuote(f.prose), f.zshAction())
		}
	}
	return fmt.Sprintf(zshScript, specs.String(), commandWords())
}

// zshJoin allows --flag=value and --flag value.
func (f completed) zshJoin() string {
	if f.value {
		return "="
	}
	return ""
}

// zshShortJoin allows -fvalue and -f value.
func (f completed) zshShortJoin() string {
	if f.value {
		return "+"
	}
	return ""
}

func (f completed) zshAction() string {
	switch {
	case !f.value:
		return ""
	case f.path == config.Folder:
		return ":folder:_files -/"
	case f.path != config.NoPath:
		return ":file:_files"
	}
	return ":value:(" + strings.Join(f.words, " ") + ")"
}

// zshQuote makes text fit inside the brackets of a quoted _arguments spec.
func zshQuote(text string) string {
	return strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}

const zshScript = `#compdef awaitd
# zsh completion for awaitd: awaitd completion zsh > "${fpath[1]}/_awaitd"
_awaitd() {
  _arguments -s \
%s    '1:command or application:(%s)' \
    '2:shell, application or program:(bash zsh fish)' \
    '*:file:_files'
}
if [ "$funcstack[1]" = "_awaitd" ]; then
  _awaitd "$@"
else
  compdef _awaitd awaitd
fi
`

func fishCompletion() string {
	var out strings.Builder
	out.WriteString("# fish completion for awaitd: awaitd completion fish > ~/.config/fish/completions/awaitd.fish\n")
	out.WriteString("complete -c awaitd -f\n")
	for _, c := range commands {
		fmt.Fprintf(&out, "complete -c awaitd -n __fish_use_subcommand -a %s -d %s\n", c.name, fishQuote(c.prose))
	}
	out.WriteString("complete -c awaitd -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n")
	out.WriteString("complete -c awaitd -n '__fish_seen_subcommand_from run' -F\n")
	for _, f := range completedFlags() {
		out.WriteString("complete -c awaitd -l " + f.long)
		if f.short != "" {
			out.WriteString(" -s " + f.short)
		}
		out.WriteString(f.fishAction() + " -d " + fishQuote(f.prose) + "\n")
	}
	return out.String()
}

func (f completed) fishAction() string {
	switch {
	case !f.value:
		return ""
	case f.path == config.Folder:
		return " -x -a '(__fish_complete_directories)'"
	case f.path != config.NoPath:
		return " -r -F"
	case len(f.words) > 0:
		return " -x -a '" + strings.Join(f.words, " ") + "'"
	}
	return " -x"
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
