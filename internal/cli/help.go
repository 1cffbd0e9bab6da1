package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
)

// Widths of the help: of a page that is no terminal, the least that is used, and of the left column.
const (
	pageWidth   = 80
	leastWidth  = 64
	leftColumn  = 30
	columnSpace = 2
)

// help prints what the command can do; of run, what goes with it.
func help(env Env, command string) error {
	width := env.Terminal(env.Stdout)
	if width == 0 {
		width = pageWidth
	}
	h := &helpPage{width: max(width, leastWidth), run: command == runs}
	h.usage()
	for _, g := range config.Groups {
		h.group(g)
	}
	h.sources()
	_, err := io.WriteString(env.Stdout, h.text.String())
	return err
}

type helpPage struct {
	text  strings.Builder
	width int
	run   bool // only what `awaitd run` heeds
}

func (h *helpPage) usage() {
	if h.run {
		h.text.WriteString("Usage: awaitd run [FLAGS] PROGRAM [ARGS]\n       awaitd run [FLAGS] -m MODULE [ARGS]\n\n")
		h.paragraph("", "awaitd run supervises a Python program that serves its sockets itself: it restarts the program when it "+
			"dies, reloads it without a pause (SIGHUP, `awaitd reload`, --reload), and passes it the sockets of --bind from "+
			"descriptor 3 on, as systemd does (LISTEN_FDS). Without an address it gets none.")
		return
	}
	h.text.WriteString("Usage: awaitd [serve] TARGET [FLAGS]\n       awaitd COMMAND [FLAGS]\n\n")
	h.paragraph("", "awaitd serves a Python web application (ASGI or WSGI): `awaitd main:app` runs `app` of main.py on "+
		"http://127.0.0.1:8000.")
	h.text.WriteString("\nCommands:\n")
	for _, c := range commands {
		h.row(strings.TrimSpace(c.name+" "+c.args), c.prose)
	}
}

func (h *helpPage) group(g config.Group) {
	title := fmt.Sprintf("\n%s:\n", g)
	for i := range config.Table {
		if s := &config.Table[i]; s.Group == g && (s.Run || !h.run) {
			h.text.WriteString(title)
			title = ""
			left := spelling(s)
			if h.run {
				left = strings.Replace(left, "-m, ", "    ", 1) // is Python's there
			}
			h.row(left, prose(s))
		}
	}
	if g != config.Sources {
		return
	}
	for _, a := range actions {
		if h.run && a.name != "help" {
			continue
		}
		left := "    --" + a.name
		if a.short != "" {
			left = "-" + a.short + ", --" + a.name
		}
		h.row(left, a.prose)
	}
}

func (h *helpPage) sources() {
	h.text.WriteString("\n")
	h.paragraph("", "A flag counts more than a variable, a variable more than the settings file. The variable of --timeout-body is "+
		"AWAITD_TIMEOUT_BODY, and so on. Times are in seconds unless they have a unit (500ms, 2m), sizes in bytes (64KiB, 1MB).")
}

// spelling returns how a setting is given: "-b, --bind ADDRESS".
func spelling(s *config.Setting) string {
	if s.Positional {
		return s.Arg
	}
	left := "    "
	if s.Short != "" {
		left = "-" + s.Short + ", "
	}
	shape := s.Shape()
	switch {
	case shape.Bool && s.Default == "true":
		return left + "--" + s.Name + ", --no-" + s.Name
	case shape.Bool:
		return left + "--" + s.Name
	}
	return left + "--" + s.Name + " " + s.Arg
}

// prose returns what a setting does and, in brackets, what it may be, its other names and its default.
func prose(s *config.Setting) string {
	var notes []string
	shape := s.Shape()
	if len(shape.Choices) > 1 {
		notes = append(notes, shape.Type)
	}
	if len(s.Aliases) > 0 {
		notes = append(notes, "also --"+strings.Join(s.Aliases, ", --"))
	}
	if len(s.Env) > 0 {
		notes = append(notes, "also "+strings.Join(s.Env, ", "))
	}
	if s.Default != "" {
		notes = append(notes, "default:"+noBreak+defaultText(s, shape))
	}
	if len(notes) == 0 {
		return s.Prose
	}
	return s.Prose + " [" + strings.Join(notes, "; ") + "]"
}

// noBreak is a space at which lines are not cut.
const noBreak = "\u00a0"

func defaultText(s *config.Setting, shape config.Shape) string {
	switch {
	case shape.Bool && s.Default == "true":
		return "on"
	case shape.Bool:
		return "off"
	}
	return s.Default
}

// row prints a left column and the text to its right, below it if it is too long.
func (h *helpPage) row(left, right string) {
	line := "  " + left
	if len(line)+columnSpace > leftColumn {
		h.text.WriteString(line + "\n")
		line = ""
	}
	line += strings.Repeat(" ", leftColumn-len(line))
	h.paragraph(line, right)
}

// paragraph prints text wrapped at the page's width, the first line behind prefix and the others under it.
func (h *helpPage) paragraph(prefix, text string) {
	for i, line := range wrap(text, h.width-len(prefix)) {
		if i == 1 {
			prefix = strings.Repeat(" ", len(prefix))
		}
		h.text.WriteString(prefix + line + "\n")
	}
}

// wrap cuts text into lines of at most width letters, between words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		word = strings.ReplaceAll(word, noBreak, " ")
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return slices.Concat(lines, []string{line})
}
