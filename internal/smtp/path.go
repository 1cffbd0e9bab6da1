package smtp

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// path reads the path of MAIL or RCPT: the keyword, spaces that RFC 5321 §3.3 forbids and many send, a path, parameters.
func (s *Session) path(v Verb, arg []byte, keyword string) (address, rest, text string) {
	if len(arg) < len(keyword) || !equalFold(arg[:len(keyword)], keyword) {
		return "", "", s.syntax(v)
	}
	arg = arg[len(keyword):]
	all := strings.TrimLeft(string(arg), " \t")
	if all == "" {
		return "", "", s.syntax(v)
	}
	return parsePath(all)
}

// parsePath reads a path, with or without its brackets, and what follows it. It returns the reply if there is none.
//
//	"<" [ "@" domain *( "," "@" domain ) ":" ] mailbox ">"       the source route is ignored (RFC 5321 §3.3, appendix C)
//	mailbox                                                     as far as the first space
//	local-part [ "@" ( domain / "[" address "]" ) ]
//
// The domain may be missing: RFC 5321 §4.1.1.3 has it so for postmaster, mail within a host and LMTP for everyone. Dots may
// stand anywhere in a local part, since there are mailboxes that have them so.
func parsePath(in string) (address, rest, text string) {
	path, rest, ok := cutPath(in)
	switch {
	case !ok:
		return "", "", textMalformed
	case len(path) > maxPath:
		return "", "", textPathTooLong
	case path == "":
		return "", rest, "" // "<>"
	case strings.HasPrefix(path, "@"):
		route, mailbox, ok := strings.Cut(path, ":")
		if !ok || !validRoute(route) {
			return "", "", textMalformed
		}
		path = mailbox
	}
	if !validMailbox(path) {
		return "", "", textMalformed
	}
	return path, rest, ""
}

// cutPath finds where the path ends: at its bracket, or at a space, outside of quotes.
func cutPath(in string) (path, rest string, ok bool) {
	bracket := strings.HasPrefix(in, "<")
	if bracket {
		in = in[1:]
	}
	quoted := false
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case quoted:
		case c == '>' && bracket:
			rest := in[i+1:]
			return in[:i], strings.Trim(rest, " \t"), rest == "" || rest[0] == ' ' || rest[0] == '\t'
		case (c == ' ' || c == '\t') && !bracket:
			return in[:i], strings.Trim(in[i:], " \t"), true
		}
	}
	return in, "", !bracket && !quoted
}

func validRoute(route string) bool {
	for hop := range strings.SplitSeq(route, ",") {
		if !strings.HasPrefix(hop, "@") || !validDomain(hop[1:]) {
			return false
		}
	}
	return true
}

// validMailbox checks a mailbox (RFC 5321 §4.1.2, RFC 6531 §3.3).
func validMailbox(m string) bool {
	if !utf8.ValidString(m) {
		return false
	}
	var n int
	if strings.HasPrefix(m, `"`) {
		n = quotedEnd(m)
	} else {
		for n < len(m) && isAtom(m[n]) {
			n++
		}
	}
	switch {
	case n == 0:
		return false
	case n == len(m):
		return true
	case m[n] != '@':
		return false
	case m[n+1:] == "":
		return false
	case m[n+1] == '[':
		return validLiteral(m[n+1:])
	}
	return validDomain(m[n+1:])
}

// quotedEnd returns the length of the quoted string at the start of m, 0 if it has no end. It may be empty.
func quotedEnd(m string) int {
	for i := 1; i < len(m); i++ {
		switch m[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		case '\t':
			return 0
		}
	}
	return 0
}

// isAtom tells whether c may stand in an unquoted local part.
func isAtom(c byte) bool {
	return isAlnum(c) || c >= 0x80 || strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// validDomain checks a domain name (RFC 5321 §4.1.2). Underscores aren't allowed there, and are in names that exist.
func validDomain(d string) bool {
	if len(d) > 255 {
		return false
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}

// validLiteral checks an address literal (RFC 5321 §4.1.3).
func validLiteral(l string) bool {
	if len(l) < 3 || l[len(l)-1] != ']' {
		return false
	}
	l = l[1 : len(l)-1]
	if len(l) > 5 && equalFold(l[:5], "IPV6:") {
		a, err := netip.ParseAddr(l[5:])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	tag, content, ok := strings.Cut(l, ":")
	if !ok {
		a, err := netip.ParseAddr(l)
		return err == nil && a.Is4()
	}
	for i := range len(content) {
		if c := content[i]; c <= ' ' || c >= 0x7f || c == '[' || c == '\\' || c == ']' {
			return false
		}
	}
	return content != "" && validKeyword(tag)
}

// validKeyword checks the name of a parameter (RFC 5321 §4.1.2), or the tag of an address literal.
func validKeyword(k string) bool {
	for i := range len(k) {
		if !isAlnum(k[i]) && (i == 0 || k[i] != '-') {
			return false
		}
	}
	return k != ""
}
