// Package smtp is the server's side of SMTP and LMTP: it takes the commands of a client apart, checks their order and their
// syntax, takes messages off the wire and frames the replies, as RFC 5321 and RFC 2033 say. Of the extensions it knows SIZE
// (RFC 1870), 8BITMIME (RFC 6152), PIPELINING (RFC 2920), CHUNKING and BINARYMIME (RFC 3030), STARTTLS (RFC 3207), DSN (RFC
// 3461), AUTH (RFC 4954) with PLAIN and LOGIN, and SMTPUTF8 (RFC 6531).
//
// The package is sans-I/O: bytes in, events and replies out; it knows no socket, no clock and no goroutine, and holds no bytes
// of the input. The life of a session, as its owner sees it:
//
//	Session.Reset      the greeting is in Session.Out
//	Session.Next       bytes from the client → Command, Credentials, Content, End, Discard, StartTLS, Over; or none yet
//	Session.Default    the engine's own answer to a Command, or to the End of a message
//	Session.Reply      somebody else's answer; its code decides what becomes of the session
//	Session.Authenticate, Session.Secured, Session.Close
//
// What the engine refuses by itself (a command it doesn't know, wrong syntax, wrong order) is answered without an event.
// Everything else is a Command that somebody may decide about, and Next takes nothing more until it is answered. Replies gather
// in Session.Out; the owner sends them when Next has nothing more to say, so commands that came together are answered together
// (RFC 2920 §3.2).
//
// It keeps these invariants. What the client sends has the same outcome however its bytes were split on their way (except
// behind STARTTLS, where having sent more is itself the offence). It has exactly one reading: a line ends with CR LF, a message
// with CR LF "." CR LF, and where a CR or an LF stands alone the message is refused behind its real end, and a command ends the
// session; no setting changes that (SMTP smuggling). What is inside a message is never taken for a command. Whatever has no
// certain end (a BDAT whose size can't be read) ends the session. Everything is bounded: lines, recipients, replies that wait,
// what is swallowed.
//
// Reply codes are those that aiosmtpd gives in the same situation, because the tests of its users know them, wherever an RFC
// doesn't rule them out.
package smtp

// Settings are a server's choices. Sessions share them; they stay as they are.
type Settings struct {
	// Hostname is the server's name, in the greeting and in the answers to EHLO, HELO and LHLO; Greeting what follows it in the
	// former.
	Hostname, Greeting string
	// LMTP has the session speak LMTP (RFC 2033): LHLO in place of EHLO and HELO, and a reply for each recipient behind a
	// message.
	LMTP bool
	// MaxSize is the most octets of a message, announced by SIZE; 0: no limit.
	MaxSize int64
	// MaxRecipients is the most recipients of a message; 0: DefaultMaxRecipients.
	MaxRecipients int
	// MaxLine is the longest command line in octets, with its CR LF; 0: DefaultMaxLine, and never less than 512 (RFC 5321
	// §4.5.3.1.4). AUTH and what answers its challenges may have 12288 (RFC 4954 §4).
	MaxLine int
	// MaxErrors is how many commands may be wrong before the session ends with 421; 0: any number.
	MaxErrors int
	// TLS offers STARTTLS; RequireTLS refuses what needs security without it (530).
	TLS, RequireTLS bool
	// AuthRequired refuses mail before AUTH (530), AuthRequireTLS refuses AUTH without TLS (538).
	AuthRequired, AuthRequireTLS bool
	// Mechanisms are those that AUTH offers, of Plain and Login; without any there is no AUTH.
	Mechanisms []string
}

// Mechanisms of AUTH.
const (
	Plain = "PLAIN" // RFC 4616
	Login = "LOGIN" // never standardised, and asked for by many
)

// Defaults of the settings.
const (
	DefaultMaxRecipients = 1000 // RFC 5321 §4.5.3.1.8 asks for 100 at least
	DefaultMaxLine       = 2048 // 512 and what the extensions add to MAIL and RCPT
	DefaultMaxErrors     = 20   // for those who configure: a session's own zero means none
)

// Bounds that are not for choice.
const (
	minLine     = 512      // RFC 5321 §4.5.3.1.4
	maxAuthLine = 12288    // RFC 4954 §4
	maxSkip     = 64 << 10 // of a line that is too long: who sends more is no client of SMTP
	maxText     = 998      // a line of a message without its CR LF (RFC 5321 §4.5.3.1.6)
	maxPath     = 256      // RFC 5321 §4.5.3.1.3
	maxOut      = 16 << 10 // replies that wait: Next takes nothing more
	maxReply    = 4096     // an application's reply, all its lines
	maxReplyOne = 512 - 2  // one of its lines, without CR LF (RFC 5321 §4.5.3.1.5)
	maxEcho     = 40       // of a command that isn't known
	swallow     = 64 << 10 // beyond twice MaxSize: the session ends instead of being read on
	maxEnvID    = 100      // RFC 3461 §4.4
	maxORcpt    = 500      // RFC 3461 §4.2
	scanWindow  = 1024     // how far ahead the end of a line is looked for: a message of nothing but LF costs no more
)

func (s *Settings) maxLine() int {
	if s.MaxLine == 0 {
		return DefaultMaxLine
	}
	return max(s.MaxLine, minLine)
}

func (s *Settings) maxRecipients() int {
	if s.MaxRecipients == 0 {
		return DefaultMaxRecipients
	}
	return s.MaxRecipients
}
