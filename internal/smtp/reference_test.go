package smtp

import (
	"strconv"
	"strings"
)

// reference reads a session as its client does: from the octets sent and the replies got, it knows where each command and each
// message begins and ends, in a few lines that have nothing in common with the engine. A line gets one reply, and so does a
// message, or by LMTP one for each recipient. It returns what is wrong with that.
type reference struct {
	in      string
	replies []string // each with all its lines
	lmtp    bool
	size    int // the most octets of a message, 0: any number

	at       int
	accepted int      // recipients
	chunks   string   // of a message that comes by BDAT
	messages []string // that were whole and right
}

// replies splits what the server has sent.
func replies(log []string) (all []string) {
	text := ""
	for _, line := range log {
		if line, ok := strings.CutPrefix(line, "S: "); ok {
			text += line + "\n"
			if len(line) < 4 || line[3] != '-' {
				all = append(all, text)
				text = ""
			}
		}
	}
	return all
}

// next takes a reply; "" means that there is none.
func (r *reference) next() (reply string) {
	if len(r.replies) > 0 {
		reply, r.replies = r.replies[0], r.replies[1:]
	}
	return reply
}

// read goes through the session.
func (r *reference) read() string {
	if r.next() == "" {
		return "no greeting"
	}
	challenge := false
	for len(r.replies) > 0 {
		end := strings.IndexByte(r.in[r.at:], '\n')
		if end < 0 {
			return r.last("a reply to a line that isn't whole")
		}
		line := r.in[r.at : r.at+end+1]
		r.at += end + 1
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsAny(text, "\r\n") {
			return r.last("a reply behind a line with a bare CR or LF")
		}
		verb, arg, _ := strings.Cut(strings.ToUpper(text), " ")
		var wrong string
		switch {
		case challenge:
			challenge = strings.HasPrefix(r.next(), "334")
		case verb == "BDAT":
			wrong = r.bdat(arg)
		default:
			reply := r.next()
			if challenge = strings.HasPrefix(reply, "334"); strings.HasPrefix(reply, "354") {
				if verb != "DATA" {
					return "354 to " + verb
				}
				wrong = r.data()
			}
			r.count(verb, reply[0] == '2')
		}
		if wrong != "" {
			return wrong
		}
	}
	return ""
}

// last says that there may be one more reply, and that is the end.
func (r *reference) last(otherwise string) string {
	if r.next(); len(r.replies) > 0 {
		return otherwise
	}
	return ""
}

// count counts recipients.
func (r *reference) count(verb string, yes bool) {
	switch {
	case verb == "RCPT" && yes:
		r.accepted++
	case yes && (verb == "RSET" || verb == "EHLO" || verb == "HELO" || verb == "LHLO" || verb == "MAIL"):
		r.accepted, r.chunks = 0, ""
	}
}

// data takes a message by DATA and its replies.
func (r *reference) data() string {
	from := r.at - len("\r\n")
	end := strings.Index(r.in[from:], "\r\n.\r\n")
	if end < 0 {
		return r.last("replies to a message that isn't whole")
	}
	if len(r.replies) == 0 {
		return "no reply to a message"
	}
	message := strings.ReplaceAll("\n"+r.in[r.at:max(from+end+2, r.at)], "\n.", "\n")[1:]
	r.at = from + end + len("\r\n.\r\n")
	reply := r.message()
	switch {
	case right(message, r.size) != (reply[0] == '2'):
		return "a message is judged wrongly: " + strconv.Quote(message) + ": " + reply
	case reply[0] == '2':
		r.messages = append(r.messages, message)
	}
	return ""
}

// message takes the replies to a message.
func (r *reference) message() (reply string) {
	reply = r.next()
	if r.lmtp {
		for range r.accepted - 1 {
			if r.next() != reply {
				return "0 a reply is missing"
			}
		}
	}
	r.accepted, r.chunks = 0, ""
	return reply
}

// right tells whether a message is as it has to be.
func right(message string, size int) bool {
	for line := range strings.SplitSeq(message, "\r\n") {
		if strings.ContainsAny(line, "\r\n") || len(line) > 998 {
			return false
		}
	}
	return size == 0 || len(message) <= size
}

// bdat takes a chunk and its reply.
func (r *reference) bdat(arg string) string {
	digits, rest, _ := strings.Cut(strings.Trim(arg, " \t"), " ")
	n, err := strconv.ParseUint(digits, 10, 63)
	if rest = strings.TrimLeft(rest, " "); err != nil || rest != "" && rest != "LAST" || len(arg) > 500 {
		return r.last("a reply behind a chunk without a size")
	}
	if n > uint64(len(r.in)-r.at) {
		return r.last("a reply behind a chunk that isn't whole")
	}
	r.chunks += r.in[r.at : r.at+int(n)]
	r.at += int(n)
	if len(r.replies) == 0 {
		return "no reply to a chunk"
	}
	if rest == "" {
		if reply := r.next(); reply[0] != '2' {
			r.accepted, r.chunks = 0, ""
		}
		return ""
	}
	message := r.chunks
	if reply := r.message(); reply[0] == '2' {
		r.messages = append(r.messages, message)
	}
	return ""
}
