package wire

import (
	"errors"
	"math"

	"github.com/awaitd/awaitd/internal/exchange"
)

// OPEN: the head of a request, with as much of the body as had arrived. Layout in docs/reference/wire.md.
const (
	offClaim       = 16
	offKind        = 20
	offHTTPVersion = 21
	offScheme      = 22
	offMethodLen   = 23
	offID          = 24
	offContent     = 32
	offPathLen     = 40
	offQueryLen    = 42
	offFieldCount  = 44
	offExtraLen    = 46
	offCredit      = 48
	offFamilies    = 52
	offClientPort  = 54
	offServerPort  = 56
	offTarget      = 58
	offClientIP    = 64
	offServerIP    = 80
	openFixed      = 96
)

// Claim values of an OPEN.
const (
	claimOpen    = 0
	claimTaken   = 1
	claimRevoked = 2
)

// Tags of the extra section of an OPEN.
const (
	extraUnixPath   = 1
	extraRootPath   = 2
	extraClientText = 3
	extraTLS        = 4
	extraVariables  = 9
	extraServerText = 10
)

// ErrTooLarge says that a head does not fit into a frame.
var ErrTooLarge = errors.New("head does not fit into a frame")

// AppendOpen appends an OPEN frame for req to dst. Of req.Body it takes as much as fits into a frame of at most max bytes, and
// returns how much. credit is what the application may send at first. A head that does not fit is ErrTooLarge.
func AppendOpen(dst []byte, max int, stream uint32, req *exchange.Request, credit uint32) ([]byte, int, error) {
	start := len(dst)
	dst = append(dst, make([]byte, openFixed)...)
	for _, f := range req.Fields {
		if f.Name.Len() > math.MaxUint16 || f.Value.Len() > math.MaxUint16 {
			return dst[:start], 0, ErrTooLarge
		}
		dst = le.AppendUint16(dst, uint16(f.Name.Len()))
		dst = le.AppendUint16(dst, uint16(f.Value.Len()))
	}
	dst = append(dst, req.Method.Of(req.Buf)...)
	dst = append(dst, req.Path.Of(req.Buf)...)
	dst = append(dst, req.Query.Of(req.Buf)...)
	for _, f := range req.Fields {
		dst = appendLower(dst, f.Name.Of(req.Buf))
		dst = append(dst, f.Value.Of(req.Buf)...)
	}
	extra := len(dst)
	dst = appendExtras(dst, req)
	extra = len(dst) - extra
	if len(dst)-start > max-8 || extra > math.MaxUint16 || !lengthsFit(req) {
		return dst[:start], 0, ErrTooLarge
	}
	taken := min(len(req.Body), max-(len(dst)-start)-8)
	dst = append(dst, req.Body[:taken]...)
	for (len(dst)-start)%8 != 0 {
		dst = append(dst, 0)
	}
	putOpen(dst[start:], stream, req, taken, extra, credit)
	return dst, taken, nil
}

// lengthsFit says whether every length of req fits its place in the frame.
func lengthsFit(req *exchange.Request) bool {
	return req.Method.Len() <= math.MaxUint8 && req.Path.Len() <= math.MaxUint16 && req.Query.Len() <= math.MaxUint16 &&
		len(req.Fields) <= math.MaxUint16
}

// putOpen writes the fixed part of an OPEN.
func putOpen(b []byte, stream uint32, req *exchange.Request, body, extra int, credit uint32) {
	h := Header{Size: uint32(len(b)), Stream: stream, Type: Open, Length: uint32(body)}
	if req.End && body == len(req.Body) {
		h.Flags |= EndStream
	}
	if req.WantsContinue {
		h.Flags |= WantsContinue
	}
	h.put(b)
	b[offKind] = byte(req.Kind)
	b[offHTTPVersion] = byte(req.Version)
	b[offScheme] = byte(req.Scheme)
	b[offMethodLen] = byte(req.Method.Len())
	le.PutUint64(b[offID:], req.ID)
	le.PutUint64(b[offContent:], uint64(req.ContentLength))
	le.PutUint16(b[offPathLen:], uint16(req.Path.Len()))
	le.PutUint16(b[offQueryLen:], uint16(req.Query.Len()))
	le.PutUint16(b[offFieldCount:], uint16(len(req.Fields)))
	le.PutUint16(b[offExtraLen:], uint16(extra))
	le.PutUint32(b[offCredit:], credit)
	b[offFamilies] = byte(req.Client.Family)
	b[offFamilies+1] = byte(req.Server.Family)
	le.PutUint16(b[offClientPort:], req.Client.Port)
	le.PutUint16(b[offServerPort:], req.Server.Port)
	le.PutUint16(b[offTarget:], req.Target)
	copy(b[offClientIP:offClientIP+16], req.Client.IP[:])
	copy(b[offServerIP:offServerIP+16], req.Server.IP[:])
}

// SetStream changes the stream of an encoded frame: a request that was taken back, or that waited, runs under a new id.
func SetStream(frame []byte, stream uint32) { le.PutUint32(frame[4:], stream) }

// appendExtras appends the extra section.
func appendExtras(dst []byte, req *exchange.Request) []byte {
	if req.UnixPath != "" {
		dst = appendExtra(dst, extraUnixPath, req.UnixPath)
	}
	if req.RootPath.Len() > 0 {
		dst = appendExtra(dst, extraRootPath, req.RootPath.Of(req.Buf))
	}
	if req.ClientName.Len() > 0 {
		dst = appendExtra(dst, extraClientText, req.ClientName.Of(req.Buf))
	}
	if len(req.TLS) > 0 {
		dst = appendExtra(dst, extraTLS, req.TLS)
	}
	if req.ServerName.Len() > 0 {
		dst = appendExtra(dst, extraServerText, req.ServerName.Of(req.Buf))
	}
	if len(req.Variables) > 0 {
		dst = appendVariables(dst, req)
	}
	return dst
}

// appendExtra appends one entry. A length that does not fit shows in the section's.
func appendExtra[T string | []byte](dst []byte, tag uint16, value T) []byte {
	dst = le.AppendUint16(dst, tag)
	dst = le.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

// appendVariables appends the entry that is a row of u16 name length, u16 value length, name, value.
func appendVariables(dst []byte, req *exchange.Request) []byte {
	dst = le.AppendUint16(dst, extraVariables)
	start := len(dst)
	dst = le.AppendUint16(dst, 0)
	for _, v := range req.Variables {
		dst = le.AppendUint16(dst, uint16(v.Name.Len()))
		dst = le.AppendUint16(dst, uint16(v.Value.Len()))
		dst = append(dst, v.Name.Of(req.Buf)...)
		dst = append(dst, v.Value.Of(req.Buf)...)
	}
	le.PutUint16(dst[start:], uint16(len(dst)-start-2))
	return dst
}

// appendLower appends b with ASCII letters in lower case.
func appendLower(dst, b []byte) []byte {
	n := len(dst)
	dst = append(dst, b...)
	for i, c := range dst[n:] {
		if c-'A' < 26 {
			dst[n+i] = c | 0x20
		}
	}
	return dst
}
