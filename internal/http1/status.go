package http1

import "strconv"

// statusTexts are the reason phrases of the IANA registry (2026-11), and 418.
var statusTexts = [...]struct {
	code int
	text string
}{
	{100, "Continue"},
	{101, "Switching Protocols"},
	{102, "Processing"},
	{103, "Early Hints"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{203, "Non-Authoritative Information"},
	{204, "No Content"},
	{205, "Reset Content"},
	{206, "Partial Content"},
	{207, "Multi-Status"},
	{208, "Already Reported"},
	{226, "IM Used"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{305, "Use Proxy"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{418, "I'm a teapot"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{423, "Locked"},
	{424, "Failed Dependency"},
	{425, "Too Early"},
	{426, "Upgrade Required"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{451, "Unavailable For Legal Reasons"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{506, "Variant Also Negotiates"},
	{507, "Insufficient Storage"},
	{508, "Loop Detected"},
	{510, "Not Extended"},
	{511, "Network Authentication Required"},
}

// statusPrefix begins every status line. RFC 9110 §2.5 has a server name its own version, also towards HTTP/1.0 clients.
const statusPrefix = "HTTP/1.1 "

// lastKnownStatus is the highest code with a ready-made line.
const lastKnownStatus = 511

// statusLines are the status lines of known codes, ready to send.
var statusLines = makeStatusLines()

func makeStatusLines() (lines [lastKnownStatus + 1]string) {
	for _, s := range statusTexts {
		lines[s.code] = statusPrefix + strconv.Itoa(s.code) + " " + s.text + "\r\n"
	}
	return lines
}

// StatusText returns the reason phrase of a status code; empty for codes that the registry doesn't know.
func StatusText(code int) string {
	if code < 0 || code > lastKnownStatus || statusLines[code] == "" {
		return ""
	}
	line := statusLines[code]
	return line[len(statusPrefix)+len("200 ") : len(line)-len("\r\n")]
}

// appendStatusLine appends the status line of a code from 100 to 999. The phrase of an unknown code is empty.
func appendStatusLine(dst []byte, code int) []byte {
	if code <= lastKnownStatus && statusLines[code] != "" {
		return append(dst, statusLines[code]...)
	}
	dst = strconv.AppendInt(append(dst, statusPrefix...), int64(code), 10)
	return append(dst, " \r\n"...)
}

// appendStatus appends what tells the status: the status line, or the field that CGI has in its place; with the application's own
// phrase if it has one.
func appendStatus(dst []byte, code int, phrase []byte, cgi bool) []byte {
	prefix := statusPrefix
	switch {
	case cgi:
		prefix = "status: "
	case len(phrase) == 0:
		return appendStatusLine(dst, code)
	}
	dst = append(strconv.AppendInt(append(dst, prefix...), int64(code), 10), ' ')
	if len(phrase) > 0 {
		dst = append(dst, phrase...)
	} else {
		dst = append(dst, StatusText(code)...)
	}
	return append(dst, "\r\n"...)
}
