package http1

// Limits bound a request head. They carry gunicorn's meaning; a zero is a limit of zero, so the caller fills in all of them.
// Each is checked as soon as it is exceeded, also while the line is incomplete.
type Limits struct {
	Line      int // longest request line, in bytes without its CR LF (414)
	Fields    int // most header fields, at most 65535 (431)
	FieldSize int // longest header field line, in bytes without its CR LF (431)
	Head      int // largest head, from the first byte to the CR LF of the empty line (431)
}

const (
	// maxMethod is the longest method: the wire has one byte for its length.
	maxMethod = 255
	// maxPart is the longest path, query, field name or field value: the wire has two bytes for each length.
	maxPart = 65535
	// maxEmptyLines is how many empty lines may precede a request line. RFC 9112 §2.2 asks for at least one: old clients send it
	// after the body of a POST.
	maxEmptyLines = 1
	// maxChunkDigits is the longest chunk size: what an int64 needs. Leading zeros count, so that a size is bounded, too.
	maxChunkDigits = 16
	// maxChunkExtensions bounds the extension bytes of a whole body. They mean nothing to anyone; without a bound a client could
	// send them for ever and never a byte of body (CVE-2023-39326).
	maxChunkExtensions = 16 << 10
	// maxTrailers bounds the trailer section, which is checked and discarded.
	maxTrailers = 8 << 10
)
