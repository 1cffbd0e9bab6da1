// Package http1 is the HTTP/1.1 engine: it parses request heads, decodes request bodies and frames responses, as RFC 9110 and
// RFC 9112 say, for HTTP/1.1 and HTTP/1.0 clients.
//
// The package is sans-I/O: bytes in, events out; it knows no socket, no clock and no goroutine, holds no buffer of its own and
// allocates nothing per request. Parser reads a head, BodyDecoder its body, ResponseWriter frames the answer; each is a small
// value without buffers that a connection embeds.
//
// It keeps two invariants. What it accepts has exactly one reading: wherever two servers are known to disagree about where a
// request ends, the request is refused. And the outcome doesn't depend on how the bytes were split on their way: the same bytes
// give the same request, or the same error, whether they come at once or one at a time.
//
// Where the RFCs leave a choice, the stricter way is taken:
//   - a line ends with CR LF; a bare LF or a bare CR is an error, also between chunks;
//   - one empty line before the request line is skipped, a second is an error;
//   - a field folded over two lines, or with space before the colon, is an error;
//   - Content-Length comes once: repetitions and lists are refused even if all values agree, as nginx does;
//   - Transfer-Encoding is "chunked" alone, and only on HTTP/1.1;
//   - Host is never empty (RFC 9110 §4.2.1), even on HTTP/1.0; an IPvFuture literal is refused;
//   - the target of a request may hold bytes above 0x7f and characters that a URI would escape (browsers send them), but no
//     space, no control character and no "#".
//
// A header such as Upgrade, HTTP2-Settings or TE is passed on like any other and changes nothing. Names with an underscore are
// valid tokens and are passed on: whoever maps names to CGI variables has to decide about them.
package http1
