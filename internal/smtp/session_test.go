package smtp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// plain is what most tests talk to.
var plain = Settings{
	Hostname: "mx", Greeting: "test", MaxSize: 1000, MaxRecipients: 3, MaxErrors: 20, Mechanisms: []string{Plain, Login},
}

// heard is what came of a conversation.
type heard struct {
	replies  string
	messages []string // "sender>recipients: content"; those of others than Default are in the replies
	over     bool
}

// converse has a client say something, in pieces, with the engine's own answers, and those that answers has for a verb.
func converse(settings *Settings, answers map[Verb]string, pieces [][]byte) heard {
	var s Session
	var h heard
	var in, content []byte
	s.Reset(settings)
	for _, piece := range pieces {
		in = append(in, piece...)
		for !h.over {
			n, ev := s.Next(in)
			in = in[n:]
			if ev.Kind == Starved {
				break
			}
			switch ev.Kind {
			case Command:
				if text, ok := answers[ev.Verb]; ok {
					_ = s.Reply(text)
				} else {
					s.Default()
				}
			case Credentials:
				s.Authenticate(string(ev.Login) == "joe" && string(ev.Password) == "pass", "")
			case Content:
				content = append(content, ev.Data...)
			case Discard:
				content = nil
			case End:
				var to []string
				for _, r := range s.Envelope().Recipients {
					to = append(to, r.Address)
				}
				h.messages = append(h.messages, s.Envelope().Mail.Address+">"+strings.Join(to, ",")+": "+string(content))
				content = nil
				if text, ok := answers[0]; ok {
					_ = s.Reply(strings.Split(text, "|")...)
				} else {
					s.Default()
				}
			case Full:
				h.replies += string(s.Out)
				s.Out = s.Out[:0]
			case Over:
				h.over = true
			case Waiting:
				panic("nothing was asked")
			}
		}
	}
	h.replies += string(s.Out)
	return h
}

// cut cuts a text into pieces of random lengths.
func cut(text []byte, dice *rand.Rand) (pieces [][]byte) {
	for len(text) > 0 {
		n := 1 + dice.IntN(min(len(text), 40))
		pieces, text = append(pieces, text[:n]), text[n:]
	}
	return pieces
}

const (
	ehlo = "EHLO c\r\n"
	mail = ehlo + "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"
	data = mail + "DATA\r\n"

	greeting = "220 mx test\r\n"
	hello    = greeting + "250-mx\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250-CHUNKING\r\n" +
		"250-BINARYMIME\r\n250-DSN\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n"
	begun = hello + ok + ok
	taken = begun + "354 End data with <CR><LF>.<CR><LF>\r\n"
	ok    = "250 OK\r\n"
	alone = wrongEnding + "\r\n"
	bye   = "221 Bye\r\n"
)

var conversations = []struct {
	name, client, replies string
	messages              []string
	over                  bool
}{
	{"a message", data + "hi\r\n.\r\nQUIT\r\n", taken + ok + bye, []string{"a@x>b@y: hi\r\n"}, true},
	{"two messages", data + "1\r\n.\r\nMAIL FROM:<c@x>\r\nRCPT TO:<d@y>\r\nDATA\r\n2\r\n.\r\n", taken + ok + ok + ok +
		"354 End data with <CR><LF>.<CR><LF>\r\n" + ok, []string{"a@x>b@y: 1\r\n", "c@x>d@y: 2\r\n"}, false},
	{"nothing in it", data + ".\r\n", taken + ok, []string{"a@x>b@y: "}, false},
	{"dots", data + "..\r\n...\r\n.x\r\nx.\r\n \r\n.\r\n", taken + ok, []string{"a@x>b@y: .\r\n..\r\nx\r\nx.\r\n \r\n"}, false},
	{"commands inside", data + "QUIT\r\nRSET\r\n.\r\nNOOP\r\n", taken + ok + ok, []string{"a@x>b@y: QUIT\r\nRSET\r\n"}, false},
	{"case and spaces", "ehlo  c \r\nmail from: <a@x>\r\nRcpt To:b@y\r\ndata\r\n.\r\n", taken + ok, []string{"a@x>b@y: "}, false},
	{"the null path", ehlo + "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\n", taken + ok, []string{">postmaster: "}, false},
	{"a source route", ehlo + "MAIL FROM:<@a,@b:c@d>\r\nRCPT TO:<\"x y\"@z>\r\nDATA\r\n.\r\n", taken + ok, []string{"c@d>\"x y\"@z: "}, false},
	{"HELO", "HELO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\n", greeting + "250 mx\r\n" + taken[len(hello):] + ok, []string{"a@x>b@y: "}, false},
	{"a new EHLO forgets", mail + ehlo + "DATA\r\n", begun + hello[len(greeting):] + "503 Error: need RCPT command\r\n", nil, false},
	{"RSET forgets", mail + "RSET\r\nRCPT TO:<b@y>\r\n", begun + ok + "503 Error: need MAIL command\r\n", nil, false},

	// SMTP smuggling: each of these ends is one for somebody. What follows is never a command.
	{"LF . LF", data + "a\r\nb\n.\nMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"LF . CR LF", data + "a\n.\r\nMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"CR LF . LF", data + "a\r\n.\nMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"CR . CR", data + "a\r.\rMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"CR . CR LF", data + "a\r.\r\nMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"CR LF . CR", data + "a\r\n.\rMAIL FROM:<evil@x>\r\n.\r\n", taken + alone, nil, false},
	{"CR CR LF . CR LF", data + "a\r\r\n.\r\nNOOP\r\n", taken + alone + ok, nil, false},
	{"a LF at the start", data + "\n.\r\n.\r\n", taken + alone, nil, false},
	{"a command that ends with LF", "NOOP\nNOOP\r\n", greeting + "500 5.5.2 Error: lines end with CR LF\r\n", nil, true},
	{"a CR in a command", "NOOP\rQUIT\r\n", greeting + "500 5.5.2 Error: lines end with CR LF\r\n", nil, true},
	{"a browser", "POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<evil@x>\r\n", greeting + "500 Error: this is a mail server\r\n", nil, true},
	{"a NUL", "NOOP \x00\r\nNOOP\r\n", greeting + "500 Error: bad syntax\r\n" + ok, nil, false},

	// Limits.
	{"a message that is too large", data + strings.Repeat("x\r\n", 400) + ".\r\nNOOP\r\n", taken + tooMuch + "\r\n" + ok, nil, false},
	{"a size that is too large", ehlo + "MAIL FROM:<a@x> SIZE=1001\r\n", hello + "552 5.3.4 Error: message size exceeds fixed maximum message size\r\n", nil, false},
	{"a line that is too long", data + strings.Repeat("x", 999) + "\r\n.\r\n", taken + tooLong + "\r\n", nil, false},
	{"much too much", data + strings.Repeat("x\r\n", 30_000), taken + tooMuch + "\r\n", nil, true},
	{"a command that is too long", "NOOP " + strings.Repeat("x", 3000) + "\r\nNOOP\r\n", greeting + "500 Command line too long\r\n" + ok, nil, false},
	{"a line without an end", strings.Repeat("x", 80_000), greeting + "500 Command line too long\r\n", nil, true},
	{"too many recipients", mail + "RCPT TO:<c@y>\r\nRCPT TO:<d@y>\r\nRCPT TO:<e@y>\r\n", begun + ok + ok + "452 4.5.3 Too many recipients\r\n", nil, false},
	{"too many errors", strings.Repeat("FOO\r\n", 20) + "NOOP\r\n", greeting + strings.Repeat("500 Error: command \"FOO\" not recognized\r\n", 19) + "421 4.7.0 Too many errors\r\n", nil, true},

	// Order and syntax.
	{"no HELO", "MAIL FROM:<a@x>\r\n", greeting + "503 Error: send HELO first\r\n", nil, false},
	{"MAIL twice", mail + "MAIL FROM:<a@x>\r\n", begun + "503 Error: nested MAIL command\r\n", nil, false},
	{"no MAIL", ehlo + "RCPT TO:<b@y>\r\n", hello + "503 Error: need MAIL command\r\n", nil, false},
	{"no RCPT", ehlo + "MAIL FROM:<a@x>\r\nDATA\r\n", hello + ok + "503 Error: need RCPT command\r\n", nil, false},
	{"arguments", "EHLO\r\nHELO\r\nQUIT now\r\nRSET x\r\nVRFY\r\n", greeting + "501 Syntax: EHLO hostname\r\n501 Syntax: HELO hostname\r\n501 Syntax: QUIT\r\n501 Syntax: RSET\r\n501 Syntax: VRFY <address>\r\n", nil, false},
	{"MAIL without FROM", ehlo + "MAIL a@x\r\nMAIL FROM:\r\nMAIL FROM:<a@x\r\nMAIL FROM:<a@>\r\n", hello + "501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]\r\n" + strings.Repeat("553 5.1.3 Error: malformed address\r\n", 3), nil, false},
	{"RCPT of nobody", ehlo + "MAIL FROM:<a@x>\r\nRCPT TO:<>\r\n", hello + ok + "501 Syntax: RCPT TO: <address> [SP <mail-parameters>]\r\n", nil, false},
	{"LHLO", "LHLO c\r\n", greeting + "500 Error: command \"LHLO\" not recognized\r\n", nil, false},
	{"STARTTLS", "STARTTLS\r\n", greeting + "454 TLS not available\r\n", nil, false},
	{"VRFY, EXPN, HELP", "VRFY joe\r\nEXPN list\r\nHELP\r\n", greeting + "252 Cannot VRFY user, but will accept message and attempt delivery\r\n502 EXPN not implemented\r\n250 Supported commands: AUTH BDAT DATA EHLO HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY\r\n", nil, false},

	// Extensions.
	{"parameters", ehlo + "MAIL FROM:<a@x> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=a+20b SMTPUTF8\r\nRCPT TO:<b@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@y\r\nDATA\r\n.\r\n", taken + ok, []string{"a@x>b@y: "}, false},
	{
		"parameters that are wrong", ehlo + "MAIL FROM:<a@x> FOO=1\r\nMAIL FROM:<a@x> SIZE=x\r\nMAIL FROM:<a@x> BODY=9BIT\r\nMAIL FROM:<a@x> RET=SOME\r\nMAIL FROM:<a@x> ENVID=+2\r\nMAIL FROM:<a@x> SMTPUTF8=1\r\nMAIL FROM:<a@x> SIZE=1 SIZE=1\r\n",
		hello + "555 MAIL FROM parameters not recognized or not implemented\r\n501 Error: SIZE must be a number of octets\r\n501 Error: BODY can only be one of 7BIT, 8BITMIME, BINARYMIME\r\n501 Error: RET can only be one of FULL, HDRS\r\n501 Error: ENVID must be xtext of at most 100 characters\r\n501 Error: SMTPUTF8 takes no arguments\r\n501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]\r\n", nil, false,
	},
	{"recipients' that are wrong", ehlo + "MAIL FROM:<a@x>\r\nRCPT TO:<b@y> NOTIFY=NEVER,DELAY\r\nRCPT TO:<b@y> ORCPT=x\r\nRCPT TO:<b@y> X=1\r\n", hello + ok + "501 Error: NOTIFY=NEVER stands alone\r\n501 Error: ORCPT must be a type, a semicolon and xtext\r\n555 RCPT TO parameters not recognized or not implemented\r\n", nil, false},
	{"parameters after HELO", "HELO c\r\nMAIL FROM:<a@x> SIZE=1\r\n", greeting + "250 mx\r\n501 Syntax: MAIL FROM: <address>\r\n", nil, false},
	{
		"addresses in UTF-8", ehlo + "MAIL FROM:<\xc3\xa9@x>\r\nMAIL FROM:<\xc3\xa9@x> SMTPUTF8\r\nRCPT TO:<\xff@x>\r\nRCPT TO:<\xc3\xa9@y>\r\nDATA\r\n.\r\n",
		hello + "553 5.6.7 Error: an address that is not ASCII needs SMTPUTF8\r\n" + ok + "553 5.6.7 Error: an address that is not ASCII needs SMTPUTF8\r\n" + taken[len(hello)+len(ok):] + ok,
		[]string{"\xc3\xa9@x>\xc3\xa9@y: "},
		false,
	},
	{"chunks", mail + "BDAT 6\r\nab\r\n.\rBDAT 5 LAST\r\n\r\n.\r\nNOOP\r\n", begun + "250 2.0.0 chunk received\r\n" + alone + ok, nil, false},
	{"chunks of lines", mail + "BDAT 7\r\nab\r\n.\r\nBDAT 0 LAST\r\nNOOP\r\n", begun + "250 2.0.0 chunk received\r\n" + ok + ok, []string{"a@x>b@y: ab\r\n.\r\n"}, false},
	{"one chunk", mail + "BDAT 3 LAST\r\na\r\nQUIT\r\n", begun + ok + bye, []string{"a@x>b@y: a\r\n"}, true},
	{"binary chunks", ehlo + "MAIL FROM:<a@x> BODY=BINARYMIME\r\nRCPT TO:<b@y>\r\nDATA\r\nBDAT 4 LAST\r\n\n\r\x00\n", begun + "503 Error: BODY=BINARYMIME needs BDAT\r\n" + ok, []string{"a@x>b@y: \n\r\x00\n"}, false},
	{"a chunk too early", ehlo + "BDAT 6 LAST\r\nRSET\r\nNOOP\r\n", hello + "503 Error: need RCPT command\r\n" + ok, nil, false},
	{"a chunk before HELO", "BDAT 6\r\nRSET\r\nNOOP\r\n", greeting + "503 Error: send HELO first\r\n" + ok, nil, false},
	{"a chunk of no size", mail + "BDAT x\r\nQUIT\r\n", begun + "501 Syntax: BDAT size [LAST]\r\n", nil, true},
	{"a chunk that is too large", mail + "BDAT 1001\r\n" + strings.Repeat("x", 1001) + "BDAT 1 LAST\r\nyNOOP\r\n", begun + tooMuch + "\r\n" + tooMuch + "\r\n" + ok, nil, false},
	{"DATA among chunks", mail + "BDAT 1\r\nxDATA\r\nRSET\r\n", begun + "250 2.0.0 chunk received\r\n503 Error: BDAT has begun\r\n" + ok, nil, false},

	// AUTH: joe, pass.
	{"PLAIN", ehlo + "AUTH PLAIN AGpvZQBwYXNz\r\nAUTH PLAIN x\r\n", hello + "235 2.7.0 Authentication successful\r\n503 Already authenticated\r\n", nil, false},
	{"PLAIN, asked", ehlo + "AUTH PLAIN\r\nAGpvZQBwYXNz\r\n", hello + "334 \r\n235 2.7.0 Authentication successful\r\n", nil, false},
	{"LOGIN", ehlo + "AUTH LOGIN\r\nam9l\r\ncGFzcw==\r\n", hello + askUser + "\r\n" + askPassword + "\r\n235 2.7.0 Authentication successful\r\n", nil, false},
	{"LOGIN with a name", ehlo + "auth login am9l\r\ncGFzcw==\r\nNOOP\r\n", hello + askPassword + "\r\n235 2.7.0 Authentication successful\r\n" + ok, nil, false},
	{"a wrong password", ehlo + "AUTH PLAIN AGpvZQBub25l\r\n", hello + "535 5.7.8 Authentication credentials invalid\r\n", nil, false},
	{
		"AUTH that is wrong", ehlo + "AUTH\r\nAUTH X\r\nAUTH PLAIN ?\r\nAUTH PLAIN =\r\nAUTH PLAIN a b\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n",
		hello + "501 Not enough value\r\n504 5.5.4 Unrecognized authentication type\r\n" + badBase64 + "\r\n501 5.5.2 Can't split auth value\r\n501 Too many values\r\n" + askUser + "\r\n501 5.7.0 Auth aborted\r\n" + ok, nil, false,
	},
	{"AUTH at the wrong time", "AUTH PLAIN x\r\n" + mail + "AUTH PLAIN x\r\n", greeting + "503 Error: send HELO first\r\n" + begun[len(greeting):] + "503 5.5.1 Error: AUTH in the middle of a mail\r\n", nil, false},
}

// spec: jobs 3
func TestConversations(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			ways := [][][]byte{{[]byte(c.client)}, bytes.SplitAfter([]byte(c.client), nil)}
			for range 20 {
				ways = append(ways, cut([]byte(c.client), dice))
			}
			for _, pieces := range ways {
				h := converse(&plain, nil, pieces)
				if h.replies != c.replies || fmt.Sprintf("%q", h.messages) != fmt.Sprintf("%q", c.messages) || h.over != c.over {
					t.Fatalf("in %d pieces:\n%s\n%q, over %v\nwant\n%s\n%q, over %v", len(pieces), h.replies, h.messages, h.over, c.replies, c.messages, c.over)
				}
			}
		})
	}
}

// spec: jobs 3
func TestAnswersOfAnApplicationDecide(t *testing.T) {
	settings := plain
	settings.LMTP = true
	for _, c := range []struct {
		name     string
		settings *Settings
		answers  map[Verb]string
		client   string
		replies  string // behind the answer to EHLO
	}{
		{"a recipient is refused", &plain, map[Verb]string{RCPT: "550 no"}, mail + "DATA\r\n", ok + "550 no\r\n503 Error: need RCPT command\r\n"},
		{"a sender is refused", &plain, map[Verb]string{MAIL: "451-a\r\n451 b"}, mail, "451-a\r\n451 b\r\n503 Error: need MAIL command\r\n"},
		{"a message is refused", &plain, map[Verb]string{0: "554 no"}, data + ".\r\nMAIL FROM:<a@x>\r\n", begun[len(hello):] + taken[len(begun):] + "554 no\r\n" + ok},
		{"QUIT is QUIT", &plain, map[Verb]string{QUIT: "221 ciao"}, ehlo + "QUIT\r\nNOOP\r\n", "221 ciao\r\n"},
		{"no code", &plain, map[Verb]string{MAIL: "fine"}, mail, unusable + "\r\n503 Error: need MAIL command\r\n"},
		{"injected", &plain, map[Verb]string{NOOP: "250 a\n250 b"}, ehlo + "NOOP\r\n", unusable + "\r\n"},
		{"too long", &plain, map[Verb]string{NOOP: "250 " + strings.Repeat("x", 600)}, ehlo + "NOOP\r\n", unusable + "\r\n"},
		{"of two minds", &plain, map[Verb]string{NOOP: "250-a\r\n550 b"}, ehlo + "NOOP\r\n", unusable + "\r\n"},
		{"three digits", &plain, map[Verb]string{NOOP: "250"}, ehlo + "NOOP\r\n", "250 \r\n"},
		{"LMTP: one for all", &settings, nil, "LHLO c\r\n" + mail[len(ehlo):] + "RCPT TO:<c@y>\r\nDATA\r\n.\r\n", begun[len(hello):] + ok + taken[len(begun):] + ok + ok},
		{"LMTP: one for each", &settings, map[Verb]string{0: "250 b|550 c"}, "LHLO c\r\n" + mail[len(ehlo):] + "RCPT TO:<c@y>\r\nDATA\r\n.\r\n", begun[len(hello):] + ok + taken[len(begun):] + "250 b\r\n550 c\r\n"},
		{"LMTP: a fake end", &settings, nil, "LHLO c\r\n" + mail[len(ehlo):] + "RCPT TO:<c@y>\r\nDATA\r\n\n.\r\n.\r\n", begun[len(hello):] + ok + taken[len(begun):] + alone + alone},
		{"LMTP: EHLO", &settings, nil, "LHLO c\r\nEHLO c\r\n", "500 Error: this is LMTP, send LHLO\r\n"},
	} {
		h := converse(c.settings, c.answers, [][]byte{[]byte(c.client)})
		if got := strings.TrimPrefix(h.replies, hello); got != c.replies {
			t.Errorf("%s: %q, want %q", c.name, got, c.replies)
		}
	}
}

func TestWhatMustComeFirst(t *testing.T) {
	settings := plain
	settings.AuthRequired = true
	h := converse(&settings, nil, [][]byte{[]byte(ehlo + "MAIL FROM:<a@x>\r\nBDAT 4 LAST\r\nQUITVRFY joe\r\nAUTH PLAIN AGpvZQBwYXNz\r\nMAIL FROM:<a@x>\r\n")})
	required := "530 5.7.0 Authentication required\r\n"
	if want := hello + required + required + required + "235 2.7.0 Authentication successful\r\n" + ok; h.replies != want {
		t.Errorf("%q, want %q", h.replies, want)
	}
	settings = plain
	settings.AuthRequireTLS, settings.TLS, settings.RequireTLS = true, true, true
	h = converse(&settings, nil, [][]byte{[]byte("EHLO c\r\nMAIL FROM:<a@x>\r\nAUTH PLAIN x\r\nNOOP\r\n")})
	want := strings.Replace(hello, "250-AUTH PLAIN LOGIN\r\n", "250-STARTTLS\r\n", 1) + strings.Repeat("530 5.7.0 Must issue a STARTTLS command first\r\n", 2) + ok
	if h.replies != want {
		t.Errorf("%q, want %q", h.replies, want)
	}
	settings.RequireTLS = false
	h = converse(&settings, nil, [][]byte{[]byte("EHLO c\r\nAUTH PLAIN x\r\n")})
	if !strings.HasSuffix(h.replies, "538 5.7.11 Encryption required for requested authentication mechanism\r\n") {
		t.Error(h.replies)
	}
}

func TestContentAndSmallCommandsCostNothing(t *testing.T) {
	var s Session
	s.Reset(&plain)
	text := []byte("NOOP\r\nRSET\r\n")
	s.Out = make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		s.Out = s.Out[:0]
		for rest := text; len(rest) > 0; s.Default() {
			n, _ := s.Next(rest)
			rest = rest[n:]
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// split is another reading of a session that has only DATA: what is inside messages, and what is not.
func split(text []byte) (inside, outside [][]byte) {
	for {
		i := bytes.Index(text, []byte("DATA\r\n"))
		if i < 0 {
			return inside, append(outside, text)
		}
		outside = append(outside, text[:i])
		rest := append([]byte("\r\n"), text[i+6:]...)
		end := bytes.Index(rest, []byte("\r\n.\r\n"))
		if end < 0 {
			return append(inside, rest), outside
		}
		inside, text = append(inside, rest[:end]), rest[end+5:]
	}
}

func FuzzSession(f *testing.F) {
	for _, c := range conversations {
		f.Add([]byte(c.client), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		whole := converse(&plain, nil, [][]byte{text})
		pieces := converse(&plain, nil, cut(text, rand.New(rand.NewPCG(seed, 0))))
		if whole.replies != pieces.replies || fmt.Sprint(whole.messages) != fmt.Sprint(pieces.messages) || whole.over != pieces.over {
			t.Fatalf("%q\nwhole:  %+v\npieces: %+v", text, whole, pieces)
		}
		for _, m := range whole.messages {
			_, content, _ := strings.Cut(m, ": ")
			if strings.Contains(strings.ReplaceAll(content, "\r\n", ""), "\n") && !bytes.Contains(bytes.ToUpper(text), []byte("BINARYMIME")) {
				t.Fatalf("%q: a message with a bare LF: %q", text, content)
			}
		}
		if !bytes.HasPrefix(text, []byte(data)) || bytes.Contains(bytes.ToUpper(text), []byte("BDAT")) {
			return
		}
		inside, outside := split(text)
		nested := 0
		for _, o := range outside {
			nested += bytes.Count(bytes.ToUpper(o), []byte("VRFY"))
		}
		if got := strings.Count(whole.replies, "252 "); got > nested {
			t.Fatalf("%q: %d answers to VRFY, %d outside of messages %q", text, got, nested, inside)
		}
	})
}
