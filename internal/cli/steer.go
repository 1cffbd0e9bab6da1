package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/control"
	"github.com/awaitd/awaitd/internal/fault"
)

// steer runs a command on a running server.
func (p *parsed) steer(env Env) error {
	request := control.Request{Command: p.command}
	if p.command == control.CommandStacks && len(p.args) > 0 {
		request.Worker, p.args = p.args[0], p.args[1:]
	}
	if len(p.args) > 0 {
		p.problem("`awaitd %s` does not take `%s`", p.command, strings.Join(p.args, "` and `"))
	}
	for _, f := range p.flags {
		if !slices.Contains([]string{"control", "config", "chdir"}, f.Setting.Name) {
			p.problem("`%s` does not go with `awaitd %s`", f.Typed, p.command)
		}
	}
	if len(p.problems) > 0 {
		return errors.Join(p.problems...)
	}
	path, err := p.controlPath(env)
	if err != nil {
		return err
	}
	response, err := control.Ask(path, request)
	if err != nil {
		return unreached(path, err)
	}
	return p.show(env, response)
}

// controlPath returns the socket of the server that is meant: the one that is named, on the command line or in the settings, else
// that of the only one this user runs.
func (p *parsed) controlPath(env Env) (string, error) {
	loaded, err := config.Load(config.Input{Flags: p.flags, Environ: env.Environ, Dir: env.Dir})
	if err != nil {
		return "", err
	}
	switch path := loaded.Config.Control; {
	case path == "none":
		return "", fault.Usagef("the settings say `--control none`").WithHint("name the server's control socket with `--control PATH`")
	case path != "" && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@"):
		return loaded.Config.Dir + "/" + path, nil
	case path != "":
		return path, nil
	}
	found := control.Find(env.variable("XDG_RUNTIME_DIR"))
	switch len(found) {
	case 0:
		return "", (&fault.Fault{Problem: "no server of this user is running, or none that can be found", Code: fault.Runtime}).
			WithHint("name its control socket with `--control PATH`")
	case 1:
		return found[0].Path, nil
	}
	f := &fault.Fault{Problem: fmt.Sprintf("%d servers are running", len(found)), Hint: "name one:", Code: fault.Usage}
	for _, server := range found {
		f.Hint += fmt.Sprintf("\n  --control %s  (pid %d, %s)", server.Path, server.Status.PID, server.Status.Target)
	}
	return "", f
}

// unreached is a command that had no success.
func unreached(path string, err error) error {
	if f, ok := errors.AsType[*control.Failure](err); ok {
		return &fault.Fault{Problem: f.Problem, Hint: f.Hint, Trace: f.Trace, Code: fault.Runtime}
	}
	f := &fault.Fault{Problem: fmt.Sprintf("can't reach a server at `%s`: %v", path, innermost(err)), Code: fault.Runtime, Cause: err}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		f.Hint = "it is not running, or has another control socket"
	case errors.Is(err, syscall.EACCES):
		f.Hint = "only its own user and root may command it"
	}
	return f
}

// innermost returns the cause without the operation and the address around it.
func innermost(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// show prints what a server has answered.
func (p *parsed) show(env Env, r *control.Response) error {
	var err error
	switch p.command {
	case control.CommandStatus:
		if r.Status == nil {
			return errors.New("the server's answer has no status")
		}
		if p.actions["json"] {
			encoder := json.NewEncoder(env.Stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(r.Status)
		}
		_, err = io.WriteString(env.Stdout, statusText(r.Status))
	case control.CommandStacks:
		_, err = io.WriteString(env.Stdout, stacksText(r.Stacks))
	}
	return err
}

// statusText is a status for people.
func statusText(s *control.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "awaitd %s, pid %d: %s %s for %s\n\n", s.Version, s.PID, s.State, s.Target, span(s.Uptime))
	for _, address := range s.Addresses {
		fmt.Fprintf(&b, "address  %s\n", address)
	}
	fmt.Fprintf(&b, "memory   %s\n", bytesText(s.Memory))
	fmt.Fprintf(&b, "queue    %d waiting\n", s.Queue)
	var refused []string
	for _, kind := range slices.Sorted(maps.Keys(s.Refused)) {
		refused = append(refused, fmt.Sprintf("%d %s", s.Refused[kind], kind))
	}
	fmt.Fprintf(&b, "refused  %s\n\n", cmp.Or(strings.Join(refused, ", "), "nothing"))
	rows := [][]string{{"worker", "pid", "state", "for", "interface", "python", "requests", "running", "late", "sockets", "memory"}}
	now := s.Started.Add(time.Duration(s.Uptime * float64(time.Second))) // by the server's clock
	for _, w := range s.Workers {
		kind := w.Interface
		if w.Loop != "" {
			kind += ", " + w.Loop
		}
		rows = append(rows, []string{
			w.Name, strconv.Itoa(w.PID), w.State, span(now.Sub(w.Started).Seconds()), cmp.Or(kind, "-"), cmp.Or(w.Python, "-"),
			strconv.FormatInt(w.Requests, 10), strconv.FormatInt(w.Running, 10), strconv.FormatInt(w.Late, 10),
			strconv.FormatInt(w.Sockets, 10), bytesText(w.Memory),
		})
	}
	writeColumns(&b, rows)
	gap := "\n"
	for _, w := range s.Workers {
		if w.Said != "" {
			fmt.Fprintf(&b, "%s%s, pid %d, says: %s\n", gap, w.Name, w.PID, strings.Map(printable, w.Said))
			gap = ""
		}
	}
	return b.String()
}

// writeColumns writes rows with their columns under each other.
func writeColumns(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// span is a time in words: 42s, 3m10s, 5h2m, 12d4h.
func span(seconds float64) string {
	s := int64(max(seconds, 0))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s%86400/3600)
}

func bytesText(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// stacksText shows each worker's stacks under its name.
func stacksText(stacks []control.Stack) string {
	var b strings.Builder
	for i, s := range stacks {
		if i > 0 {
			b.WriteByte('\n')
		}
		text := strings.Map(printable, strings.TrimRight(s.Text, "\n"))
		fmt.Fprintf(&b, "%s, pid %d\n%s\n", s.Worker, s.PID, cmp.Or(text, "it does not say"))
	}
	return b.String()
}

// printable drops what would command a terminal: a worker may write what it likes.
func printable(r rune) rune {
	if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
		return -1
	}
	return r
}
