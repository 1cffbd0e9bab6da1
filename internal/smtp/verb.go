package smtp

// verbInfo is what is said of a verb.
type verbInfo struct {
	name   string
	syntax string // for HELP, and for 501
	more   string // of the syntax, in an extended session
}

const parameters = " [SP <mail-parameters>]"

// verbs describes the verbs.
var verbs = [...]verbInfo{
	HELO:     {"HELO", "HELO hostname", ""},
	EHLO:     {"EHLO", "EHLO hostname", ""},
	LHLO:     {"LHLO", "LHLO hostname", ""},
	MAIL:     {"MAIL", "MAIL FROM: <address>", parameters},
	RCPT:     {"RCPT", "RCPT TO: <address>", parameters},
	DATA:     {"DATA", "DATA", ""},
	BDAT:     {"BDAT", "BDAT size [LAST]", ""},
	RSET:     {"RSET", "RSET", ""},
	NOOP:     {"NOOP", "NOOP [ignored]", ""},
	VRFY:     {"VRFY", "VRFY <address>", ""},
	EXPN:     {"EXPN", "EXPN <list>", ""},
	HELP:     {"HELP", "HELP [command]", ""},
	AUTH:     {"AUTH", "AUTH <mechanism>", ""},
	STARTTLS: {"STARTTLS", "STARTTLS", ""},
	QUIT:     {"QUIT", "QUIT", ""},
}

// parseVerb returns 0 for what is no verb. Case doesn't matter (RFC 5321 §2.4).
func parseVerb(b []byte) Verb {
	var name [8]byte
	if len(b) > len(name) {
		return 0
	}
	for i, c := range b {
		name[i] = upper(c)
	}
	switch string(name[:len(b)]) {
	case "HELO":
		return HELO
	case "EHLO":
		return EHLO
	case "LHLO":
		return LHLO
	case "MAIL":
		return MAIL
	case "RCPT":
		return RCPT
	case "DATA":
		return DATA
	case "BDAT":
		return BDAT
	case "RSET":
		return RSET
	case "NOOP":
		return NOOP
	case "VRFY":
		return VRFY
	case "EXPN":
		return EXPN
	case "HELP":
		return HELP
	case "AUTH":
		return AUTH
	case "STARTTLS":
		return STARTTLS
	case "QUIT":
		return QUIT
	}
	return 0
}

// isHTTP tells whether a line is one that browsers send where an attacker sends them. What follows may hold commands that are
// not the browser's, so the session ends.
func isHTTP(verb []byte) bool {
	switch string(verb) {
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE", "CONNECT", "PRI":
		return true
	}
	return false
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// equalFold compares with a word in capital letters.
func equalFold[T string | []byte](b T, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(b) {
		if upper(b[i]) != word[i] {
			return false
		}
	}
	return true
}
