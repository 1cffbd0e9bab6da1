package main

import (
	"fmt"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
)

const intro = "# Settings\n\n" +
	"<!-- Generated from internal/config/table.go by `go generate ./internal/config`; edit it there. -->\n\n" +
	"A setting can be given in three places. A **flag** counts more than an environment **variable**, a variable more than the\n" +
	"settings **file**, and the file more than the default. `awaitd --print-config` shows each value and where it comes from;\n" +
	"`awaitd --check-config` checks them and starts the application in one worker. Mistakes are all reported at once.\n\n" +
	"**Flags** are `--flag value` or `--flag=value`; switches have a `--no-` form; `_` counts as `-`; what follows `--` is no flag.\n" +
	"Of a flag that is given twice the last counts, unless it may be repeated.\n\n" +
	"**Variables** have the flag's name: `--timeout-body` is `AWAITD_TIMEOUT_BODY`. Lists are separated by commas (`--header`\n" +
	"and `--env` by line ends). An empty variable counts as none.\n\n" +
	"**The file** is the one that `--config` names, else the first of `awaitd.toml` and a `pyproject.toml` with `[tool.awaitd]`, in\n" +
	"the working folder or in `--app-dir`. In `pyproject.toml` the tables are `[tool.awaitd.listen]` and so on. Relative paths in a\n" +
	"file start at the file's folder. `awaitd config --schema` prints its JSON Schema.\n\n" +
	"```toml\n" +
	"[app]\n" +
	"target = \"main:app\"\n\n" +
	"[listen]\n" +
	"bind = [\"127.0.0.1:8000\", \"unix:/run/site/awaitd.sock\"]\n\n" +
	"[workers]\n" +
	"count = \"auto\"\n\n" +
	"[timeouts]\n" +
	"graceful_shutdown = \"2m\"\n" +
	"```\n\n" +
	"**Durations** are `30` or `0.5` (seconds), `500ms`, `30s`, `2m`, `1h30m`. **Sizes** are `65536` (bytes), `64KiB` (65,536), `64KB`\n" +
	"(64,000), and so with `MiB`, `MB`, `GiB`, `GB`.\n\n" +
	"**Addresses.** Host and port, `--bind`, `--uds` and `--fd` are four ways to say where to listen. The one that is given closest\n" +
	"counts: a `--port` on the command line wins over the `bind` of a file. Two of them in the same place are a mistake.\n" +
	"Without any, the sockets that a service manager has passed (`LISTEN_FDS`) count more than the default.\n"

// settingsPage returns docs/reference/settings.md.
func settingsPage() string {
	var page strings.Builder
	page.WriteString(intro)
	for _, group := range config.Groups {
		fmt.Fprintf(&page, "\n## %s\n", group)
		for i := range config.Table {
			if s := &config.Table[i]; s.Group == group {
				page.WriteString(entry(s))
			}
		}
	}
	return page.String()
}

// entry describes one setting.
func entry(s *config.Setting) string {
	shape := s.Shape()
	var text strings.Builder
	fmt.Fprintf(&text, "\n### `%s`\n\n%s\n", strings.TrimSpace(s.Flag()+" "+argument(s)), s.Prose)
	if s.Default != "" {
		fmt.Fprintf(&text, "\nDefault `%s`. %s\n", s.Default, s.Why)
	}
	fmt.Fprintf(&text, "\n%s\n", strings.Join(facts(s, shape), " · "))
	return strings.ReplaceAll(text.String(), " \n", "\n")
}

func argument(s *config.Setting) string {
	if s.Positional {
		return ""
	}
	return s.Arg
}

// facts lists a setting's names and what it may be.
func facts(s *config.Setting, shape config.Shape) []string {
	kind := shape.Type
	if s.Unit != "" {
		kind += " in " + s.Unit
	}
	if shape.Limits != "" {
		kind += ", " + shape.Limits
	}
	var names []string
	if s.Short != "" {
		names = append(names, code("-"+s.Short))
	}
	for _, alias := range s.Aliases {
		names = append(names, code("--"+alias))
	}
	if shape.Bool {
		names = append(names, code("--no-"+s.Name))
	}
	for _, variable := range s.Variables() {
		names = append(names, code(variable))
	}
	if s.Key != "" {
		names = append(names, code(s.Key))
	}
	return append(names, kind)
}

func code(text string) string { return "`" + text + "`" }
