package http1

// Error is a malformed or refused request. The connection answers with Status and closes: where the next request would begin is
// not known. All values are predeclared below.
type Error struct {
	Status int
	Reason string
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

// Errors of the line structure.
var (
	ErrBareLF = &Error{400, "a line ends with LF alone"}
	ErrBareCR = &Error{400, "CR without LF"}
)

// Errors of the request line.
var (
	ErrRequestLine        = &Error{400, "malformed request line"}
	ErrLineTooLong        = &Error{414, "request line too long"}
	ErrTargetTooLong      = &Error{414, "path or query too long"}
	ErrMethod             = &Error{400, "invalid character in the method"}
	ErrMethodTooLong      = &Error{501, "method too long"}
	ErrTarget             = &Error{400, "invalid request target"}
	ErrVersion            = &Error{400, "malformed HTTP version"}
	ErrVersionUnsupported = &Error{505, "HTTP version not supported"}
	ErrConnect            = &Error{405, "CONNECT is not supported"}
)

// Errors of the header fields.
var (
	ErrFieldName             = &Error{400, "invalid header field name"}
	ErrFieldValue            = &Error{400, "control character in a header field value"}
	ErrFieldFolded           = &Error{400, "header field folded over lines"}
	ErrFieldTooLarge         = &Error{431, "header field too large"}
	ErrTooManyFields         = &Error{431, "too many header fields"}
	ErrHeadTooLarge          = &Error{431, "request head too large"}
	ErrHost                  = &Error{400, "invalid Host"}
	ErrHostMissing           = &Error{400, "Host is missing"}
	ErrHostRepeated          = &Error{400, "more than one Host"}
	ErrContentLength         = &Error{400, "invalid Content-Length"}
	ErrContentLengthRepeated = &Error{400, "more than one Content-Length"}
	ErrTransferEncoding      = &Error{400, "invalid Transfer-Encoding"}
	ErrTransferCoding        = &Error{501, "unknown transfer coding"}
	ErrTransferVersion       = &Error{400, "Transfer-Encoding on HTTP/1.0"}
	ErrFraming               = &Error{400, "both Content-Length and Transfer-Encoding"}
	ErrExpectation           = &Error{417, "unknown expectation"}
)

// Errors of a chunked body.
var (
	ErrChunkSize       = &Error{400, "invalid chunk size"}
	ErrChunkTooLarge   = &Error{400, "chunk size too large"}
	ErrChunkExtension  = &Error{400, "invalid chunk extension"}
	ErrChunkExtensions = &Error{400, "too many chunk extensions"}
	ErrChunkEnd        = &Error{400, "chunk data not followed by CR LF"}
	ErrTrailer         = &Error{400, "invalid trailer field"}
	ErrTrailersTooBig  = &Error{431, "trailer fields too large"}
)
