package wscases

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// step is one thing that the client does.
type step struct {
	do   action
	text string // the line
	frame
	optional bool
	count    int // of chop, times
	size     int // of fragments
	pings    bool
}

type action uint8

const (
	sendFrame action = iota
	sendRaw
	chop
	expectMessage
	expectPong
	expectClose
	expectEcho
	expectPongs
)

// frame is a frame to send, or what to expect.
type frame struct {
	op       byte
	first    byte // FIN and RSV
	payload  []byte
	unmasked bool
	zeroKey  bool
	deflated bool
	bits     int // of the length; 0: as few as can be
	declare  int // the length, if it is not the payload's; else -1
	code     int // of close; -1: none
}

var opcodes = map[string]byte{"cont": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

var errSyntax = errors.New("not understood")

// parseLine takes in one line of a case.
func (c *Case) parseLine(line string, limit int) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "field":
		name, value, _ := strings.Cut(rest, ":")
		c.handshake.fields = append(c.handshake.fields, [2]string{name, strings.TrimSpace(value)})
	case "method":
		c.handshake.method = rest
	case "offer":
		c.handshake.fields = append(c.handshake.fields, [2]string{"Sec-WebSocket-Extensions", rest})
	case "agreed":
		c.handshake.agreed = &rest
	case "answer":
		name, value, _ := strings.Cut(rest, ":")
		c.handshake.answer = append(c.handshake.answer, [2]string{strings.ToLower(name), strings.TrimSpace(value)})
	case "status", "repeat", "chop":
		if rest == "other" {
			rest = "0"
			c.handshake.refused = true
		}
		n, err := number(rest, limit)
		switch word {
		case "status":
			c.handshake.status = n
		case "repeat":
			c.repeat = n
		case "chop":
			c.steps = append(c.steps, step{do: chop, count: n, text: line})
		}
		return err
	case ">", "<", "<?":
		s, err := parseStep(rest, word != ">", limit)
		s.optional, s.text = word == "<?", line
		c.steps = append(c.steps, s)
		return err
	default:
		return errSyntax
	}
	return nil
}

// parseStep reads what is behind ">" or "<".
func parseStep(text string, expect bool, limit int) (s step, err error) {
	words, err := split(text)
	if err != nil || len(words) == 0 {
		return s, errors.Join(errSyntax, err)
	}
	s.first, s.declare, s.code, s.count = 0x80, -1, -1, 1
	verb, words := words[0], words[1:]
	switch op, known := opcodes[verb]; {
	case known:
		s.op = op
	case strings.HasPrefix(verb, "op="):
		n, err := strconv.ParseUint(verb[3:], 10, 4)
		if err != nil {
			return s, err
		}
		s.op = byte(n)
	case verb == "raw" && !expect:
		s.do = sendRaw
	case verb == "echo" && expect:
		s.do = expectEcho
		return s, nil
	case verb == "pongs" && expect:
		s.do = expectPongs
		return s, nil
	default:
		return s, errSyntax
	}
	if expect {
		s.do = map[byte]action{1: expectMessage, 2: expectMessage, 10: expectPong, 8: expectClose}[s.op]
	}
	if s.op == 8 && len(words) > 0 {
		if n, err := strconv.Atoi(words[0]); err == nil || words[0] == "none" {
			words = words[1:]
			if err == nil {
				s.code, s.payload = n, binary.BigEndian.AppendUint16(nil, uint16(n))
			}
		}
	}
	payload, words, err := parsePayload(words, limit)
	s.payload = append(s.payload, payload...)
	for _, option := range words {
		err = errors.Join(err, s.option(option, limit))
	}
	return s, err
}

// option takes in one option of a frame.
func (s *step) option(option string, limit int) (err error) {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "nofin":
		s.first &^= 0x80
	case "rsv1":
		s.first |= 0x40
	case "rsv2":
		s.first |= 0x20
	case "rsv3":
		s.first |= 0x10
	case "unmasked":
		s.unmasked = true
	case "key":
		s.zeroKey = true
	case "len16":
		s.bits = 16
	case "len64":
		s.bits = 64
	case "deflated":
		s.deflated = true
	case "ping-between":
		s.pings = true
	case "declare":
		s.declare, err = number(value, limit)
	case "in":
		s.size, err = number(value, limit)
	case "times":
		s.count, err = number(value, limit)
	default:
		err = errSyntax
	}
	return err
}

// split cuts a line into words and quoted strings, which keep their quotes.
func split(text string) (words []string, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		word := text
		if text[0] == '"' {
			if word, err = strconv.QuotedPrefix(text); err != nil {
				return nil, err
			}
		} else if i := strings.IndexByte(text, ' '); i > 0 {
			word = text[:i]
		}
		words = append(words, word)
		text = text[len(word):]
	}
	return words, nil
}

// parsePayload reads terms as long as there are some.
func parsePayload(words []string, limit int) (payload []byte, rest []string, err error) {
	for len(words) > 0 {
		var term []byte
		term, rest, err = parseTerm(words, limit)
		if err != nil || len(rest) == len(words) {
			return payload, words, err
		}
		payload = append(payload, term...)
		if words = rest; len(words) == 0 || words[0] != "+" {
			break
		}
		words = words[1:]
	}
	return payload, words, nil
}

// parseTerm reads one term. What is no term stays in rest.
func parseTerm(words []string, limit int) (term []byte, rest []string, err error) {
	generate := generators[words[0]]
	switch {
	case words[0][0] == '"':
		text, err := strconv.Unquote(words[0])
		if err != nil {
			return nil, nil, err
		}
		term, words = []byte(text), words[1:]
	case len(words) > 1 && words[0] == "hex":
		if term, err = hex.DecodeString(words[1]); err != nil {
			return nil, nil, err
		}
		words = words[2:]
	case len(words) > 1 && generate != nil:
		n, err := number(words[1], limit)
		if err != nil {
			return nil, nil, err
		}
		term, words = generate(n), words[2:]
	default:
		return nil, words, nil
	}
	if len(words) > 1 && words[0] == "x" {
		n, err := number(words[1], limit)
		if err != nil {
			return nil, nil, err
		}
		term, words = []byte(strings.Repeat(string(term), n)), words[2:]
	}
	return term, words, nil
}

// number reads a count.
func number(word string, limit int) (int, error) {
	switch word {
	case "max":
		return limit, nil
	case "over":
		return limit + 1, nil
	}
	unit := 1
	if s, ok := strings.CutSuffix(word, "K"); ok {
		word, unit = s, 1<<10
	} else if s, ok := strings.CutSuffix(word, "M"); ok {
		word, unit = s, 1<<20
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number", word)
	}
	return n * unit, nil
}
