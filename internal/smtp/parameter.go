package smtp

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Parameters of MAIL and RCPT (RFC 5321 §4.1.2): keyword [ "=" value ], between spaces.

// eachParameter calls f with every parameter, until it returns a reply.
func eachParameter(all string, f func(keyword, value string, has bool) string) string {
	for all != "" {
		var one string
		one, all, _ = strings.Cut(all, " ")
		if one == "" {
			continue
		}
		keyword, value, has := strings.Cut(one, "=")
		if !validKeyword(keyword) || has && !validValue(value) {
			return textParameter
		}
		if text := f(keyword, value, has); text != "" {
			return text
		}
	}
	return ""
}

// validValue checks a value (RFC 5321 §4.1.2, RFC 6531 §3.3). AUTH's may be "<>" (RFC 4954 §5), ORCPT's has "=" only as xtext.
func validValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c == '=' || c == 0x7f {
			return false
		}
	}
	return v != "" && utf8.ValidString(v)
}

// seen notes which parameters have come: none may come twice.
type seen uint16

func (s *seen) again(bit seen) bool {
	was := *s&bit != 0
	*s |= bit
	return was
}

// parse reads the parameters of MAIL.
func (m *Mail) parse(all string, auth bool) string {
	var had seen
	return eachParameter(all, func(keyword, value string, has bool) string {
		var bit seen
		var text string
		switch {
		case equalFold(keyword, "SIZE"):
			bit, text = 1, m.parseSize(value)
		case equalFold(keyword, "BODY"):
			bit, text = 2, m.parseBody(value)
		case equalFold(keyword, "SMTPUTF8"):
			if bit, m.UTF8 = 4, true; has {
				text = textUTF8Value
			}
		case equalFold(keyword, "RET"):
			bit, text = 8, m.parseReturn(value)
		case equalFold(keyword, "ENVID"):
			if bit, m.EnvelopeID = 16, value; !validXtext(value, maxEnvID) {
				text = textParameter
			}
		case equalFold(keyword, "AUTH") && auth:
			if bit, m.Auth = 32, value; value != "<>" && !validXtext(value, maxORcpt) {
				text = textParameter
			}
		default:
			return textMailUnknown
		}
		if text == "" && had.again(bit) {
			text = textParameter
		}
		return text
	})
}

// parseSize reads SIZE: up to 20 digits (RFC 1870 §4). What is more than there can be is as much as there can be.
func (m *Mail) parseSize(value string) string {
	if value == "" || len(value) > 20 {
		return textParameter
	}
	m.Size = 0
	for i := range len(value) {
		d := int64(value[i]) - '0'
		switch {
		case d < 0 || d > 9:
			return textParameter
		case m.Size > (math.MaxInt64-d)/10:
			m.Size = math.MaxInt64
		default:
			m.Size = m.Size*10 + d
		}
	}
	return ""
}

func (m *Mail) parseBody(value string) string {
	switch {
	case equalFold(value, "7BIT"):
		m.Body = Body7Bit
	case equalFold(value, "8BITMIME"):
		m.Body = Body8Bit
	case equalFold(value, "BINARYMIME"):
		m.Body = BodyBinary
	default:
		return textBody
	}
	return ""
}

func (m *Mail) parseReturn(value string) string {
	switch {
	case equalFold(value, "FULL"):
		m.Return = ReturnFull
	case equalFold(value, "HDRS"):
		m.Return = ReturnHeaders
	default:
		return textParameter
	}
	return ""
}

// parse reads the parameters of RCPT.
func (r *Recipient) parse(all string, utf8 bool) string {
	var had seen
	return eachParameter(all, func(keyword, value string, _ bool) string {
		var bit seen
		ok := false
		switch {
		case equalFold(keyword, "NOTIFY"):
			bit, ok = 1, r.parseNotify(value)
		case equalFold(keyword, "ORCPT"):
			bit, r.Original, ok = 2, value, validOriginal(value, utf8)
		default:
			return textRcptUnknown
		}
		if !ok || had.again(bit) {
			return textParameter
		}
		return ""
	})
}

// parseNotify reads NOTIFY: NEVER alone, or a list of the others (RFC 3461 §4.1).
func (r *Recipient) parseNotify(value string) bool {
	for word := range strings.SplitSeq(value, ",") {
		switch {
		case equalFold(word, "NEVER"):
			r.Notify |= NotifyNever
		case equalFold(word, "SUCCESS"):
			r.Notify |= NotifySuccess
		case equalFold(word, "FAILURE"):
			r.Notify |= NotifyFailure
		case equalFold(word, "DELAY"):
			r.Notify |= NotifyDelay
		default:
			return false
		}
	}
	return r.Notify&NotifyNever == 0 || equalFold(value, "NEVER")
}

// validOriginal checks ORCPT: a type, and an address as xtext (RFC 3461 §4.2), which for the type utf-8 is xtext of its own
// kind (RFC 6533 §3): printable ASCII with "\x{...}", and where SMTPUTF8 was said UTF-8 as it is.
func validOriginal(value string, utf8 bool) bool {
	kind, address, ok := strings.Cut(value, ";")
	if !ok || !validKeyword(kind) || len(value) > maxORcpt {
		return false
	}
	if equalFold(kind, "UTF-8") {
		return address != "" && (utf8 || ascii(address))
	}
	return validXtext(address, maxORcpt)
}

// validXtext checks xtext (RFC 3461 §4): printable ASCII without "+" and "=", and "+" with two capital hexadecimal digits for
// what is not. What that stands for has to be printable ASCII, too (§4.2, §4.4); limit bounds it encoded.
func validXtext(x string, limit int) bool {
	for i := 0; i < len(x); i++ {
		c := x[i]
		switch {
		case c == '+':
			if i+2 >= len(x) {
				return false
			}
			high, low := hexDigit(x[i+1]), hexDigit(x[i+2])
			if c = high<<4 | low; high > 15 || low > 15 || c < ' ' || c > '~' {
				return false
			}
			i += 2
		case c < '!' || c > '~' || c == '=':
			return false
		}
	}
	return x != "" && len(x) <= limit
}

// hexDigit returns the value of a capital hexadecimal digit, or more than 15.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
