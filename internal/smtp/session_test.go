package smtp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unsafe"
)

// driver is what is least around a session: it answers with the defaults, and throws away what comes.
func driver(settings *Settings) (s *Session, feed func(in []byte) (content int)) {
	s = new(Session)
	s.Reset(settings, false)
	return s, func(in []byte) (content int) {
		for {
			n, ev := s.Next(in)
			in = in[n:]
			switch ev.Kind {
			case Starved, Over, StartTLS:
				s.Out = s.Out[:0]
				return content
			case Full:
				s.Out = s.Out[:0]
			case Command, End:
				s.Default()
			case Content:
				content += len(ev.Data)
			}
		}
	}
}

func TestCommandsAndContentAllocateNothing(t *testing.T) {
	s, feed := driver(corpusSettings())
	feed([]byte(begin))
	for name, in := range map[string]string{
		"NOOP": "NOOP\r\n", "HELP": "HELP\r\n", "EXPN": "EXPN a\r\n", "unknown": "XYZZY\r\n",
		"refused": "MAIL\r\nRCPT\r\nHELO\r\n",
		"group":   strings.Repeat("NOOP\r\n", 5000),
	} {
		in := []byte(in)
		if n := testing.AllocsPerRun(100, func() { feed(in) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	rset := []byte("RSET\r\n")
	if n := testing.AllocsPerRun(100, func() { feed(rset) }); n != 0 {
		t.Errorf("RSET: %v allocations", n)
	}
	feed([]byte(begin + "DATA\r\n"))
	text := []byte(strings.Repeat("..a line of a message\r\n", 100))
	buf := make([]byte, len(text))
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, text)
		if got := feed(buf); got != len(text)-100 {
			t.Fatal(got)
		}
	}); n != 0 {
		t.Errorf("content: %v allocations", n)
	}
	feed([]byte(".\r\n"))
	if s.Begun {
		t.Error("the message has no end")
	}
}

// A mail costs what its envelope holds: the strings of a path each, and what EHLO says.
func TestAMailAllocatesItsEnvelope(t *testing.T) {
	_, feed := driver(corpusSettings())
	feed([]byte("EHLO a\r\n"))
	mail := []byte("MAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\ntext\r\n.\r\n")
	buf := make([]byte, len(mail))
	if n := testing.AllocsPerRun(100, func() { copy(buf, mail); feed(buf) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnIdleSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 700 {
		t.Errorf("%d bytes", n)
	}
	s, feed := driver(corpusSettings())
	feed([]byte("EHLO a\r\nMAIL FROM:<a@b>\r\n" + strings.Repeat("RCPT TO:<c@d>\r\n", 500) + "RSET\r\n"))
	if n := cap(s.Recipients); n > 16 {
		t.Errorf("room for %d recipients is kept", n)
	}
}

func TestTheGreetingHasTheServersName(t *testing.T) {
	var s Session
	for greeting, want := range map[string]string{"": "220 mx.example\r\n", "ESMTP ready": "220 mx.example ESMTP ready\r\n"} {
		s.Reset(&Settings{Hostname: "mx.example", Greeting: greeting}, false)
		if got := string(s.Out); got != want {
			t.Errorf("%q", got)
		}
	}
}

func TestNothingIsTakenBeforeTheAnswer(t *testing.T) {
	var s Session
	s.Reset(corpusSettings(), false)
	in := []byte("EHLO a\r\nMAIL FROM:<a@b>\r\n")
	n, ev := s.Next(in)
	if ev.Kind != Command || ev.Verb != EHLO || n != 8 {
		t.Fatalf("%d, %+v", n, ev)
	}
	if m, ev := s.Next(in[n:]); m != 0 || ev.Kind != Waiting {
		t.Fatalf("%d, %+v", m, ev)
	}
	got := string(s.AppendDefault([]byte("x")))
	if !strings.HasPrefix(got, "x250-mx.example\r\n") || !strings.HasSuffix(got, "\r\n250 HELP") {
		t.Errorf("%q", got)
	}
	s.Default()
	if m, ev := s.Next(in[n:]); m != len(in)-n || ev.Verb != MAIL || ev.Mail.Address != "a@b" || s.Begun {
		t.Fatalf("%d, %+v", m, ev)
	}
	if err := s.Reply([]byte("250 OK\r\n250 OK")); !errors.Is(err, ErrReplyLines) || s.Begun {
		t.Error(err, s.Begun)
	}
}

// What waits to be sent is bounded by refusing to go on, not by what the client may send.
func TestRepliesThatWaitAreBounded(t *testing.T) {
	for _, line := range []string{"\r\n", "NOOP\r\n", "EHLO a\r\n"} {
		var s Session
		s.Reset(corpusSettings(), false)
		in := bytes.Repeat([]byte(line), 20000)
		for range 40000 {
			n, ev := s.Next(in)
			if in = in[n:]; ev.Kind == Full {
				break
			}
			s.Default()
		}
		if n := len(s.Out); n < maxOut || n > maxOut+1000 {
			t.Errorf("%q: %d octets wait", line, n)
		}
		if n, ev := s.Next(in); n != 0 || ev.Kind != Full {
			t.Errorf("%q: %d, %+v", line, n, ev)
		}
	}
}

// An answer to nothing changes nothing.
func TestAnswersThatNobodyWaitsForAreIgnored(t *testing.T) {
	var s Session
	s.Reset(corpusSettings(), false)
	s.Out = s.Out[:0]
	s.Default()
	s.Secured()
	err := errors.Join(s.Reply([]byte("250 OK")), s.Authenticate(true, nil))
	if err != nil || len(s.Out) > 0 || s.Authenticated || s.Secure {
		t.Errorf("%v, %q, %+v", err, s.Out, s)
	}
}

// Messages made to be hard to read take no more time than others, by far.
func BenchmarkContent(b *testing.B) {
	for name, text := range map[string]string{
		"lines": strings.Repeat(strings.Repeat("a", 76)+"\r\n", 800), "dots": strings.Repeat("..\r\n", 16000),
		"LF": strings.Repeat("\n", 64000), "CR": strings.Repeat("\r", 64000), "text": strings.Repeat("a", 64000),
	} {
		b.Run(name, func(b *testing.B) {
			_, feed := driver(corpusSettings())
			feed([]byte(begin + "DATA\r\n"))
			buf := make([]byte, len(text))
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				copy(buf, text)
				feed(buf)
			}
		})
	}
}

func BenchmarkMail(b *testing.B) {
	_, feed := driver(corpusSettings())
	feed([]byte("EHLO a\r\n"))
	mail := []byte("MAIL FROM:<a@example.com> SIZE=500\r\nRCPT TO:<c@example.org>\r\nDATA\r\n" +
		strings.Repeat(strings.Repeat("a", 76)+"\r\n", 50) + ".\r\n")
	buf := make([]byte, len(mail))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, mail)
		feed(buf)
	}
}
