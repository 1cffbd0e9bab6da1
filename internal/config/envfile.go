package config

import (
	"fmt"
	"strings"
)

// envProblem is what is wrong with a line of an env file.
type envProblem struct{ label, what string }

// parseEnvFile reads NAME=value lines as python-dotenv does: `export` in front, # comments, 'literal' and "escaped" values that
// may go over several lines, and ${NAME} or ${NAME:-default} in all but literal ones, looked up in the file so far, then in known.
func parseEnvFile(name, data string, known variables) (variables, []envProblem) {
	p := &envParser{file: name, rest: strings.ReplaceAll(data, "\r\n", "\n"), line: 1, known: known}
	for p.rest != "" {
		p.statement()
	}
	return p.vars, p.problems
}

type envParser struct {
	file, rest string
	line       int
	known      variables
	vars       variables
	problems   []envProblem
}

// advance takes n bytes.
func (p *envParser) advance(n int) string {
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	p.line += strings.Count(taken, "\n")
	return taken
}

// toLineEnd takes what is left of the line, without its end.
func (p *envParser) toLineEnd() string {
	line, _, ended := strings.Cut(p.rest, "\n")
	n := len(line)
	if ended {
		n++
	}
	p.advance(n)
	return line
}

func (p *envParser) statement() {
	line, _, _ := strings.Cut(p.rest, "\n")
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || trimmed[0] == '#' {
		p.toLineEnd()
		return
	}
	at := p.line
	name, _, ok := strings.Cut(line, "=")
	bare := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))
	if !ok || bare == "" || strings.ContainsAny(bare, " \t\"'#$") {
		p.problems = append(p.problems, envProblem{fmt.Sprintf("%s:%d", p.file, at), must("NAME=value", trimmed).Error()})
		p.toLineEnd()
		return
	}
	p.advance(len(name) + 1)
	value, err := p.value()
	label := fmt.Sprintf("%s:%d", p.file, at)
	if err != "" {
		p.problems = append(p.problems, envProblem{label + ": " + bare, err})
		return
	}
	p.vars = append(p.vars, variable{name: bare, value: value, label: label + ": " + bare, source: label})
}

// value takes a value and the rest of its line.
func (p *envParser) value() (value, problem string) {
	p.advance(len(p.rest) - len(strings.TrimLeft(p.rest, " \t")))
	if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
		return p.expand(bareValue(p.toLineEnd())), ""
	}
	quote := p.rest[0]
	end := closingQuote(p.rest)
	if end < 0 {
		p.toLineEnd()
		return "", "the quote is never closed"
	}
	inner := p.advance(end + 1)[1:end]
	tail := strings.TrimSpace(p.toLineEnd())
	if tail != "" && tail[0] != '#' {
		return "", fmt.Sprintf("there is text after the closing quote: `%s`", tail)
	}
	if quote == '\'' {
		return strings.NewReplacer(`\'`, `'`, `\\`, `\`).Replace(inner), ""
	}
	return p.expand(strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\"`, `"`, `\\`, `\`).Replace(inner)), ""
}

// bareValue cuts a comment off a value without quotes: a # at its start or after white space.
func bareValue(line string) string {
	if strings.HasPrefix(line, "#") {
		return ""
	}
	for _, mark := range []string{" #", "\t#"} {
		line, _, _ = strings.Cut(line, mark)
	}
	return strings.TrimSpace(line)
}

// closingQuote returns where the quote that text begins with is closed, or -1.
func closingQuote(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i
		}
	}
	return -1
}

// expand replaces ${NAME} and ${NAME:-default}.
func (p *envParser) expand(value string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(value, "${")
		reference, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			out.WriteString(value)
			return out.String()
		}
		name, fallback, _ := strings.Cut(reference, ":-")
		out.WriteString(before)
		out.WriteString(p.lookup(name, fallback))
		value = rest
	}
}

func (p *envParser) lookup(name, fallback string) string {
	for _, vars := range []variables{p.known, p.vars} {
		if v, ok := vars.find(name); ok && v.value != "" {
			return v.value
		}
	}
	return fallback
}
