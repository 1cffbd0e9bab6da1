package client

import (
	"strconv"
	"strings"
)

// Limits of what a server may send before the body.
const (
	maxHead    = 128 << 10 // bytes of a head, or of trailers
	maxInterim = 32        // interim responses (1xx)
)

// parseStatus takes a status line apart (RFC 9112 §4).
func parseStatus(line string) (version, status int, phrase string, ok bool) {
	const length = len("HTTP/1.1 200")
	if len(line) < length || !strings.HasPrefix(line, "HTTP/1.") || line[8] != ' ' {
		return 0, 0, "", false
	}
	switch line[7] {
	case '0':
		version = 10
	case '1':
		version = 11
	default:
		return 0, 0, "", false
	}
	for _, c := range line[9:length] {
		if c < '0' || c > '9' {
			return 0, 0, "", false
		}
		status = 10*status + int(c-'0')
	}
	rest := line[length:]
	if status < 100 || rest != "" && rest[0] != ' ' || !isPhrase(rest) {
		return 0, 0, "", false
	}
	return version, status, strings.TrimSpace(rest), true
}

func isPhrase(s string) bool { return isValue(s) }

// nextLine cuts a line off: up to CR LF, or LF alone (RFC 9112 §2.2).
func nextLine(s string) (line, rest string, ok bool) {
	at := strings.IndexByte(s, '\n')
	if at < 0 {
		return "", s, false
	}
	return strings.TrimSuffix(s[:at], "\r"), s[at+1:], true
}

// parseFields takes header fields apart, up to the empty line at the end of s. A line that goes on (obs-fold) is one with a space.
func parseFields(s string, fields []Field) ([]Field, *Error) {
	for {
		line, rest, ok := nextLine(s)
		if !ok || line == "" {
			return fields, nil
		}
		s = rest
		if line[0] == ' ' || line[0] == '\t' {
			if len(fields) == 0 {
				return nil, protocol("a header that begins with a space")
			}
			if !isValue(line) {
				return nil, protocol("control characters in a header")
			}
			last := &fields[len(fields)-1]
			last.Value = strings.TrimSpace(last.Value + " " + trim(line))
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimRight(name, " \t"); !ok || !isToken(name) {
			return nil, protocol("a malformed header: " + strconv.Quote(shorten(line)))
		}
		if value = trim(value); !isValue(value) {
			return nil, protocol("control characters in header " + name)
		}
		fields = append(fields, Field{name, value})
	}
}

func trim(s string) string { return strings.Trim(s, " \t") }

func shorten(s string) string {
	const enough = 40
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}

// framing is how long a body is, by its head.
type framing struct {
	chunked  bool
	toTheEnd bool  // of the connection
	length   int64 // if neither
	closes   bool  // the connection ends with it
}

// frame judges the head of a response (RFC 9112 §6.3 and §9.3).
func frame(method string, r *Response) (framing, *Error) {
	f := framing{closes: r.Version < 11, length: -1}
	encoded, sized := false, false
	for i := range r.Fields {
		value := r.Fields[i].Value
		switch len(r.Fields[i].Name) {
		case len("connection"):
			if strings.EqualFold(r.Fields[i].Name, "connection") {
				f.closes = hasToken(value, "close") || f.closes && !hasToken(value, "keep-alive")
			}
		case len("content-length"):
			if strings.EqualFold(r.Fields[i].Name, "content-length") {
				n, ok := parseLength(value)
				if !ok || sized && n != f.length {
					return f, protocol("an invalid content-length: " + strconv.Quote(shorten(value)))
				}
				f.length, sized = n, true
			}
		case len("transfer-encoding"):
			if strings.EqualFold(r.Fields[i].Name, "transfer-encoding") {
				encoded = true
				f.chunked = strings.EqualFold(lastOf(value), "chunked")
			}
		}
	}
	switch {
	case r.Status == 101 || method == "CONNECT" && r.Status/100 == 2:
		return framing{toTheEnd: true, closes: true}, nil
	case method == "HEAD" || r.Status/100 == 1 || r.Status == 204 || r.Status == 304:
		return framing{closes: f.closes}, nil
	case encoded:
		f.toTheEnd = !f.chunked
	case !sized:
		f.toTheEnd = true
	}
	f.closes = f.closes || f.toTheEnd || encoded && sized
	return f, nil
}

// parseLength reads a Content-Length; the same number several times is one (RFC 9110 §8.6).
func parseLength(value string) (int64, bool) {
	first, more, several := strings.Cut(value, ",")
	first = trim(first)
	if first == "" || strings.ContainsFunc(first, func(c rune) bool { return c < '0' || c > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, false
	}
	if several {
		m, ok := parseLength(more)
		return n, ok && m == n
	}
	return n, true
}

func lastOf(list string) string { return trim(list[strings.LastIndexByte(list, ',')+1:]) }

// hasToken says whether a comma-separated list has a token, in any case.
func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(trim(item), token) {
			return true
		}
	}
	return false
}

func appendField(b []byte, f Field) []byte {
	b = append(b, f.Name...)
	b = append(b, ": "...)
	b = append(b, f.Value...)
	return append(b, "\r\n"...)
}
