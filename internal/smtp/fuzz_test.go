package smtp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// begin goes as far as a message may come.
const begin = "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\n"

// session has an engine read octets, cut by cut.
func session(t testing.TB, settings *Settings, in string, stubborn bool, cut func(int) int) *talk {
	t.Helper()
	talk := newTalk(settings, false)
	if stubborn { // an application that refuses every other recipient, and whatever it is asked for
		n := 0
		talk.answer = func(to string) (string, bool) {
			n++
			return "550 No", to == "RCPT" && n%2 == 0 || to == "VRFY"
		}
	}
	for in != "" {
		n := min(max(cut(len(in)), 1), len(in))
		talk.feed([]byte(in[:n]))
		in = in[n:]
	}
	for _, w := range talk.wrong {
		t.Error(w)
	}
	return talk
}

// check compares an engine's reading with the client's.
func check(t testing.TB, settings *Settings, in string, talk *talk) {
	t.Helper()
	r := reference{in: in, replies: replies(talk.log), lmtp: settings.LMTP, size: int(settings.MaxSize)}
	if wrong := r.read(); wrong != "" {
		t.Fatalf("%s\n%q\n%s", wrong, in, talk.outcome())
	}
	if !slices.Equal(r.messages, talk.ended) {
		t.Fatalf("messages are %q, the engine's %q\n%q\n%s", r.messages, talk.ended, in, talk.outcome())
	}
}

// FuzzSession holds a session to its invariants: the same octets have the same outcome however they are cut; the engine and a
// client find the same commands and the same messages in them, so nothing inside a message is a command; nothing grows without
// a bound.
func FuzzSession(f *testing.F) {
	for _, c := range conversations(f) {
		var in []byte
		for _, line := range c.lines {
			in = append(in, octets(line)...)
		}
		if len(in) < 5000 {
			f.Add(string(in), strings.Contains(c.text, "ready"), uint8(0), uint64(len(in)))
			f.Add(string(in), strings.Contains(c.text, "ready"), uint8(7), uint64(len(in)))
		}
	}
	f.Fuzz(func(t *testing.T, in string, ready bool, how uint8, seed uint64) {
		settings := corpusSettings()
		settings.LMTP = how&1 != 0
		if how&2 != 0 {
			settings.MaxSize = 100
		}
		if how&4 != 0 {
			settings.MaxErrors = 5
		}
		settings.AuthRequired = how&8 != 0
		if ready {
			in = begin + in
			if settings.LMTP {
				in = "L" + in[1:]
			}
		}
		whole := session(t, settings, in, how&16 != 0, func(length int) int { return length })
		check(t, settings, in, whole)
		random := rand.New(rand.NewPCG(seed, 0))
		pieces := func(length int) int { return 1 + random.IntN(min(length, 1+int(seed%64))) }
		if got, want := session(t, settings, in, how&16 != 0, pieces).outcome(), whole.outcome(); got != want {
			t.Fatalf("%q, in pieces:\n%s\nwhole:\n%s", in, got, want)
		}
	})
}

// All that a message can be made of, seven octets long, has the end that a client finds, and no other.
// spec: jobs 3
func TestEveryMixtureOfDotsAndLineEndsHasOneEnd(t *testing.T) {
	const octets = "\r\n.a"
	const length = 7
	settings := corpusSettings()
	behind := "\r\n.\r\nNOOP\r\n"
	text := make([]byte, length)
	for i := range 1 << (2 * length) {
		for j := range text {
			text[j] = octets[i>>(2*j)&3]
		}
		in := begin + "DATA\r\n" + string(text) + behind
		check(t, settings, in, session(t, settings, in, false, whole))
		if i%16 == 0 {
			in = strings.Replace(in, "DATA\r\n", "BDAT 7 LAST\r\n", 1)
			check(t, settings, in, session(t, settings, in, false, whole))
		}
	}
}
