package smtp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what comes of the conversations into testdata; look at the difference")

// conversation is one of testdata/*.txt:
//
//	== name
//	set: lmtp size=100            settings other than corpusSettings; greeted: behind EHLO, ready=2: behind MAIL and two RCPT
//	C: NOOP                       a line from the client, CR LF behind it; \r \n \x00 \\ and \{1000*a} are escapes
//	C> a\r\n.\r\n                 octets from the client
//	A: RCPT 550 No                the application's answer to the next RCPT; END: to a message; CREDENTIALS: yes or no first
//	T:                            TLS begins
//	X: 421 4.4.2 Timeout          the server closes
//	S: 250 OK                     a reply
//	E: end "a\r\n"                an event
//
// S and E are what is expected of the C above them when the lines come one by one; in whatever pieces they come, all S and E
// together are the same.
type conversation struct {
	name  string
	lines []string // all but S and E
	text  string   // all
}

func conversations(t testing.TB) (all []conversation) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		all = append(all, readConversations(t, file)...)
	}
	return all
}

func readConversations(t testing.TB, file string) (all []conversation) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut("\n"+string(raw), "\n== ")
	for part := range strings.SplitSeq(text, "\n== ") {
		name, body, _ := strings.Cut(part, "\n")
		name = strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + name
		c := conversation{name: name, text: strings.TrimRight(body, "\n") + "\n"}
		for line := range strings.SplitSeq(body, "\n") {
			if line != "" && !strings.HasPrefix(line, "S:") && !strings.HasPrefix(line, "E:") {
				c.lines = append(c.lines, line)
			}
		}
		all = append(all, c)
	}
	return all
}

func corpusSettings() *Settings {
	return &Settings{Hostname: "mx.example", Greeting: "ESMTP ready", Mechanisms: []string{Login, Plain}, MaxLine: 512}
}

// start begins a conversation.
func (c conversation) start(t testing.TB) *talk {
	settings, secure, commands, ready := corpusSettings(), false, false, -1
	for _, line := range c.lines {
		words, ok := strings.CutPrefix(line, "set: ")
		if !ok {
			continue
		}
		for word := range strings.FieldsSeq(words) {
			name, value, _ := strings.Cut(word, "=")
			n, _ := strconv.Atoi(value)
			switch name {
			case "lmtp":
				settings.LMTP = true
			case "size":
				settings.MaxSize = int64(n)
			case "recipients":
				settings.MaxRecipients = n
			case "errors":
				settings.MaxErrors = n
			case "tls":
				settings.TLS = true
			case "requiretls":
				settings.TLS, settings.RequireTLS = true, true
			case "auth":
				settings.AuthRequired = true
			case "authtls":
				settings.TLS, settings.AuthRequireTLS = true, true
			case "noauth":
				settings.Mechanisms = nil
			case "secure":
				secure = true
			case "commands":
				commands = true
			case "greeted":
				ready = 0
			case "ready":
				ready = max(n, 1)
			default:
				t.Fatalf("%s: set: %s", c.name, word)
			}
		}
	}
	talk := newTalk(settings, secure)
	if ready >= 0 {
		talk.prepare(ready)
	}
	talk.commands = commands
	talk.answer = c.answers()
	return talk
}

// answers gives the application's answers in their order.
func (c conversation) answers() func(string) (string, bool) {
	queues := map[string][]string{}
	for _, line := range c.lines {
		if rest, ok := strings.CutPrefix(line, "A: "); ok {
			to, text, _ := strings.Cut(rest, " ")
			queues[to] = append(queues[to], text)
		}
	}
	return func(to string) (string, bool) {
		q := queues[to]
		if len(q) == 0 {
			return "", false
		}
		queues[to] = q[1:]
		return q[0], q[0] != "default"
	}
}

// octets are what a line has the client send.
func octets(line string) []byte {
	if text, ok := strings.CutPrefix(line, "C> "); ok {
		return unescape(text)
	}
	if text, ok := strings.CutPrefix(line, "C: "); ok {
		return append(unescape(text), "\r\n"...)
	}
	if line == "C:" {
		return []byte("\r\n")
	}
	return nil
}

// perform runs a conversation, each part of it between two Ts cut by cut; step is called behind every line if the lines come
// one by one.
func (c conversation) perform(t testing.TB, cut func(length int) int, step func(*talk, string)) *talk {
	talk := c.start(t)
	var pending []byte
	feed := func() {
		for len(pending) > 0 {
			n := min(max(cut(len(pending)), 1), len(pending))
			talk.feed(pending[:n])
			pending = pending[n:]
		}
	}
	for _, line := range c.lines {
		switch {
		case strings.HasPrefix(line, "T:"):
			feed()
			if talk.held {
				talk.s.Secured()
				talk.held = false
			}
		case strings.HasPrefix(line, "X: "):
			feed()
			talk.s.Close(line[3:])
			talk.flush()
			talk.feed(nil)
		default:
			pending = append(pending, octets(line)...)
			if step != nil {
				feed()
			}
		}
		if step != nil {
			step(talk, line)
		}
	}
	feed()
	for _, w := range talk.wrong {
		t.Errorf("%s: %s", c.name, w)
	}
	return talk
}

// all gives everything at once.
func whole(length int) int { return length }

// told writes the conversation with what came of it, line by line.
func (c conversation) told(t testing.TB) string {
	var b strings.Builder
	seen := 1 // the greeting, which has a test of its own
	show := func(talk *talk) {
		for seen < len(talk.log) {
			line, same := talk.log[seen], 1
			for seen+same < len(talk.log) && talk.log[seen+same] == line {
				same++
			}
			if seen += same; same > 10 {
				line = fmt.Sprintf("%s (%d times)", line, same)
				same = 1
			}
			b.WriteString(strings.Repeat(line+"\n", same))
		}
	}
	c.perform(t, whole, func(talk *talk, line string) {
		b.WriteString(line + "\n")
		show(talk)
	})
	return b.String()
}

// spec: jobs 3
func TestConversationsGoAsExpected(t *testing.T) {
	if *update {
		rewrite(t)
	}
	all := conversations(t)
	if len(all) < 80 {
		t.Errorf("only %d conversations", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if got := c.told(t); got != c.text {
				t.Errorf("got\n%s\nwant\n%s", got, c.text)
			}
		})
	}
}

// rewrite writes the corpus anew.
func rewrite(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		var b strings.Builder
		for _, c := range readConversations(t, file) {
			_, name, _ := strings.Cut(c.name, "/")
			fmt.Fprintf(&b, "== %s\n%s\n", name, c.told(t))
		}
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(b.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutcomeDoesNotDependOnHowTheBytesCome(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range conversations(t) {
		if strings.HasSuffix(c.name, " behind STARTTLS") {
			continue // TestNothingIsTakenBehindSTARTTLS
		}
		want := c.perform(t, whole, func(*talk, string) {}).outcome()
		check := func(how string, cut func(int) int) {
			if got := c.perform(t, cut, nil).outcome(); got != want {
				t.Fatalf("%s, %s: got\n%s\nwant\n%s", c.name, how, got, want)
			}
		}
		check("at once", whole)
		check("byte by byte", func(int) int { return 1 })
		for i := range 20 {
			check(fmt.Sprintf("random %d", i), func(length int) int { return 1 + random.IntN(min(length, 1+i*10)) })
		}
	}
}

// Whether bytes have come behind STARTTLS before it was answered depends on when they come; that they mean nothing doesn't.
func TestNothingIsTakenBehindSTARTTLS(t *testing.T) {
	for _, settings := range []Settings{{TLS: true}, {TLS: true, RequireTLS: true}} {
		talk := newTalk(&settings, false)
		talk.commands = true
		in := []byte("EHLO a\r\nSTARTTLS\r\nEHLO b\r\nMAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n")
		start := strings.Index(string(in), "EHLO b")
		for cut := start; cut <= len(in); cut++ {
			talk.s.Reset(&settings, false)
			talk.log, talk.in, talk.held = nil, nil, false
			talk.feed(in[:cut])
			if held := cut == start; talk.held != held {
				t.Fatalf("%d octets behind STARTTLS, %v", cut-start, talk.log)
			}
			talk.feed(in[cut:])
			talk.s.Secured() // has no meaning for a session that is over
			talk.feed([]byte("NOOP\r\n"))
			for _, word := range []string{`EHLO "b"`, "evil", "NOOP"} {
				if all := talk.outcome(); strings.Contains(all, word) {
					t.Fatalf("%d octets behind STARTTLS:\n%s", cut-start, all)
				}
			}
		}
	}
}
