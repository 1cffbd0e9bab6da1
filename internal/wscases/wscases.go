// Package wscases is a table of what must be true of a WebSocket server that echoes each message in kind, and a strict client that
// runs it: frames, control frames, reserved bits, opcodes, fragmentation, UTF-8, the closing handshake, limits, handshakes and
// permessage-deflate. The families have the numbers that the field knows them by, so that results can be set beside others.
//
// The client shares no code with the engine that it judges. Whatever the server sends must be framed as RFC 6455 and RFC 7692
// want it (Client.read), in every case.
//
// # The table
//
// Cases are in cases.txt, each a number, a title and the rule it proves, then its lines:
//
//	5.3 text in two fragments | 6455 §5.4
//	  > text "fragment1" nofin
//	  > cont "fragment2"
//	  < text "fragment1fragment2"
//
//	field NAME: VALUE     a field of the handshake; one that is always there is replaced, and left out if VALUE is empty
//	method NAME           of the handshake, instead of GET
//	offer VALUE           Sec-WebSocket-Extensions
//	agreed VALUE          the answer's Sec-WebSocket-Extensions; empty: it has none
//	status N              the handshake is answered with N, and there is no WebSocket; "other": with anything but 101
//	answer NAME: VALUE    a field that the answer has
//	each X A B C          the case is one for each value; "$" in the number counts them, "$X" is the value
//	repeat N              what follows is done so often
//	chop N                from here on bytes are written in pieces of N
//	> VERB PAYLOAD OPTION…
//	                      sends a frame: text, binary, cont, ping, pong, close, or op=N. close may have a code before its payload.
//	                      nofin, rsv1, rsv2, rsv3, unmasked, key=0 (a key of zeros), len16, len64 (the length in so many bits),
//	                      declare=N (a length that is not the payload's), deflated (a compressed message), in=N (as fragments
//	                      of N bytes), ping-between (with a ping after each), times=N (so often)
//	> raw PAYLOAD         sends bytes
//	< VERB PAYLOAD        expects a message, a pong, or a close ("close 1002", "close none"); "close" is the last
//	< pongs               expects the pongs of all ping-between
//	< echo                expects all messages sent so far, and not expected yet, in kind
//	<? …                  likewise, but a close may have overtaken it
//
// A payload is one or more terms joined by "+": "quoted as in Go", hex 00ff, json N, words N, utf8 N, noise N, zeros N (N bytes of
// such text), each followed by "x N" to repeat it. N may be 64K, 16M, or max and over: the limit of a message, and one more.
//
// Messages and control frames are judged in their order among themselves: a pong may overtake an echo. A case that does not end with a
// close ends with a closing handshake by the client, with nothing left over.
package wscases

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed cases.txt
var table string

// Case is one row of the table.
type Case struct {
	Number, Title, Rule string
	handshake           handshake
	repeat              int
	steps               []step
}

// Family is the first part of the case's number.
func (c *Case) Family() string {
	family, _, _ := strings.Cut(c.Number, ".")
	return family
}

// Bytes is about how much payload the case sends.
func (c *Case) Bytes() (n int) {
	for i := range c.steps {
		n += len(c.steps[i].payload) * max(1, c.steps[i].count)
	}
	return n * c.repeat
}

// Families names the families.
func Families() [][2]string {
	var list [][2]string
	for line := range strings.Lines(table) {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "== "); ok {
			number, name, _ := strings.Cut(title, " ")
			list = append(list, [2]string{number, name})
		}
	}
	return list
}

// All returns the cases, for a server that takes messages of up to limit bytes.
func All(limit int) ([]*Case, error) { return parse(table, limit) }

// parse reads a table.
func parse(text string, limit int) ([]*Case, error) {
	var cases []*Case
	var block []string
	seen := map[string]bool{}
	flush := func() error {
		if len(block) == 0 {
			return nil
		}
		list, err := parseBlock(block, limit)
		for _, c := range list {
			if seen[c.Number] {
				return fmt.Errorf("%s is there twice", c.Number)
			}
			seen[c.Number] = true
		}
		cases, block = append(cases, list...), nil
		return err
	}
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || strings.HasPrefix(trimmed, "== "):
			continue
		case line[0] != ' ': // a case begins
			if err := flush(); err != nil {
				return nil, err
			}
		}
		block = append(block, trimmed)
	}
	return cases, flush()
}

// parseBlock reads one case, or as many as its "each" has values.
func parseBlock(block []string, limit int) ([]*Case, error) {
	for i, line := range block {
		words := strings.Fields(line)
		if words[0] != "each" || len(words) < 3 {
			continue
		}
		var list []*Case
		for n, value := range words[2:] {
			one := append([]string{strings.ReplaceAll(block[0], "$ ", fmt.Sprint(n+1, " "))}, block[1:i]...)
			one = append(one, block[i+1:]...)
			for j := range one {
				one[j] = strings.ReplaceAll(one[j], "$"+words[1], value)
			}
			c, err := parseBlock(one, limit)
			if err != nil {
				return nil, err
			}
			list = append(list, c...)
		}
		return list, nil
	}
	c := &Case{repeat: 1, handshake: handshake{method: "GET"}}
	title, rule, ok := strings.Cut(block[0], " | ")
	if c.Number, c.Title, _ = strings.Cut(title, " "); !ok || c.Title == "" {
		return nil, fmt.Errorf("%q is no number, title | rule", block[0])
	}
	c.Rule = rule
	for _, line := range block[1:] {
		if err := c.parseLine(line, limit); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", c.Number, line, err)
		}
	}
	return []*Case{c}, nil
}
