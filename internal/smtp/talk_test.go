package smtp

import (
	"bytes"
	"fmt"
	"strings"
)

// talk is a session with a driver around it, as a connection is one, and a transcript of what came of it: replies ("S: ..."),
// and events ("E: ..."). Pieces of a message are joined.
type talk struct {
	s        Session
	in       []byte
	log      []string
	ended    []string                    // messages that were whole
	message  []byte                      // that comes
	open     bool                        // it was begun
	answer   func(string) (string, bool) // to a verb, END or CREDENTIALS; false: the default
	commands bool                        // are events, too
	held     bool                        // StartTLS was said
	wrong    []string                    // rules that the engine broke
}

func newTalk(settings *Settings, secure bool) *talk {
	t := &talk{answer: func(string) (string, bool) { return "", false }}
	t.s.Reset(settings, secure)
	t.flush()
	return t
}

func (t *talk) note(format string, arguments ...any) {
	t.log = append(t.log, fmt.Sprintf(format, arguments...))
}

// flush takes what is to be sent.
func (t *talk) flush() {
	for line := range strings.SplitAfterSeq(string(t.s.Out), "\r\n") {
		if line != "" {
			t.log = append(t.log, "S: "+escape(strings.TrimSuffix(line, "\r\n")))
			if !strings.HasSuffix(line, "\r\n") {
				t.wrong = append(t.wrong, "a reply without an end")
			}
		}
	}
	t.s.Out = t.s.Out[:0]
}

// prepare goes as far as there are n recipients.
func (t *talk) prepare(n int) {
	hello := "EHLO a\r\n"
	if t.s.settings.LMTP {
		hello = "LHLO a\r\n"
	}
	t.feed([]byte(hello))
	if n > 0 {
		t.feed([]byte("MAIL FROM:<a@b>\r\n" + strings.Repeat("RCPT TO:<c@d>\r\n", n)))
	}
	t.log = t.log[:1]
}

// feed gives bytes, in a buffer of their own as after every read, and goes on until there is nothing more to do.
func (t *talk) feed(p []byte) {
	t.in = append(bytes.Clone(t.in), p...)
	for range 1 << 20 {
		before := bytes.Clone(t.in)
		n, ev := t.s.Next(t.in)
		if !bytes.Equal(t.in[n:], before[n:]) {
			t.wrong = append(t.wrong, "the rest of the input has changed")
		}
		t.in = t.in[n:]
		if len(t.s.Out) > 2*maxOut {
			t.wrong = append(t.wrong, "replies without a bound")
		}
		if ev.Kind == Content {
			t.message = append(t.message, ev.Data...)
			continue
		}
		t.flush()
		if done := t.take(ev); done {
			t.flush()
			return
		}
		t.flush()
	}
	t.wrong = append(t.wrong, "no end of events")
}

// take does what a driver does.
func (t *talk) take(ev Event) (done bool) {
	switch ev.Kind {
	case Starved:
		if len(t.in) >= maxAuthLine {
			t.wrong = append(t.wrong, "input without a bound")
		}
		return true
	case Full:
	case Waiting:
		t.wrong = append(t.wrong, "waiting for an answer that was given")
		return true
	case Over:
		if last := "E: over: " + ev.Reason; len(t.log) == 0 || t.log[len(t.log)-1] != last {
			t.log = append(t.log, last)
		}
		t.open, t.message = false, nil
		return true
	case StartTLS:
		t.note("E: starttls")
		t.held = true
		return true
	case Command:
		t.command(ev)
	case Credentials:
		t.note("E: credentials %s %s", ev.Mechanism, quote(fmt.Appendf(nil, "%s/%s/%s", ev.Identity, ev.Login, ev.Password)))
		t.credentials()
	case End:
		t.note("E: end %s", quote(t.message))
		t.ended = append(t.ended, string(t.message))
		if !t.open {
			t.wrong = append(t.wrong, "an end without a beginning")
		}
		t.open, t.message = false, nil
		t.reply("END")
	case Discard:
		t.note("E: discard: %s", ev.Reason)
		if !t.open {
			t.wrong = append(t.wrong, "a discard without a beginning")
		}
		t.open, t.message = false, nil
	}
	return false
}

func (t *talk) command(ev Event) {
	if t.commands {
		text := fmt.Sprintf("E: %s %s", ev.Verb, quote(ev.Arg))
		switch ev.Verb {
		case MAIL:
			text = fmt.Sprintf("E: MAIL %+v", *ev.Mail)
		case RCPT:
			text = fmt.Sprintf("E: RCPT %+v", *ev.Recipient)
		case VRFY:
			text = fmt.Sprintf("E: VRFY %s", ev.Address)
		}
		t.log = append(t.log, strings.TrimRight(escape(text), " "))
	}
	if ev.Verb == DATA || ev.Verb == BDAT {
		defer func() { t.open = t.s.content.open }()
	}
	t.reply(ev.Verb.String())
}

func (t *talk) reply(to string) {
	text, ok := t.answer(to)
	if !ok {
		t.s.Default()
		return
	}
	var texts [][]byte
	for one := range strings.SplitSeq(text, " | ") {
		texts = append(texts, unescape(one))
	}
	if err := t.s.Reply(texts...); err != nil {
		t.note("E: error: %v", err)
	}
}

func (t *talk) credentials() {
	text, given := t.answer("CREDENTIALS")
	ok := !given || strings.HasPrefix(text, "yes")
	if err := t.s.Authenticate(ok, unescape(strings.TrimPrefix(strings.TrimLeft(text, "yesno"), " "))); err != nil {
		t.note("E: error: %v", err)
	}
}

// outcome is the transcript. Of a message that did not end it depends on the cuts what has been passed on, so that is left out.
func (t *talk) outcome() string { return strings.Join(t.log, "\n") + "\n" }

func quote(b []byte) string {
	if text := escape(string(b)); len(text) > 300 {
		return fmt.Sprintf(`"%s..." (%d octets)`, text[:40], len(b))
	}
	return `"` + escape(string(b)) + `"`
}

// escape writes a line of text as the corpus has it.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		same := 1
		for i+same < len(s) && s[i+same] == c {
			same++
		}
		if same > 40 {
			fmt.Fprintf(&b, `\{%d*%c}`, same, c)
			i += same - 1
			continue
		}
		switch {
		case c == '\\':
			b.WriteString(`\\`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape reads escape's text, and \{n*text}: n times text.
func unescape(s string) (out []byte) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 'x':
			var c byte
			fmt.Sscanf(s[i+1:i+3], "%02x", &c)
			out = append(out, c)
			i += 2
		case '{':
			end := i + strings.IndexByte(s[i:], '}')
			var n int
			count, text, _ := strings.Cut(s[i+1:end], "*")
			fmt.Sscan(count, &n)
			out = append(out, bytes.Repeat(unescape(text), n)...)
			i = end
		default:
			out = append(out, s[i])
		}
	}
	return out
}
