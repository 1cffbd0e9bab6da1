// Package proxyproto reads the header that a proxy sends before the first byte of a connection, as "The PROXY protocol, versions
// 1 & 2" (2020/03/05) says: who the client is, and where it connected to.
//
// The package is sans-I/O and allocates nothing. It keeps two invariants: the outcome doesn't depend on how the bytes were split
// on their way, and no byte behind the header has a part in it.
//
// The specification makes a header of either form mandatory on a connection that is to have one: whoever can send none could
// claim any address. So bytes that are no header are an error, as soon as no header can begin like that.
package proxyproto

import (
	"errors"

	"github.com/awaitd/awaitd/internal/exchange"
)

// MaxLength is the longest header that is read, in bytes. The specification allows 64 KiB, but a proxy that adds a client's
// certificate needs no more than this.
const MaxLength = 4096

// Header is what a proxy says about a connection.
type Header struct {
	// Local says that there are no addresses in the header, so those of the socket stay: the proxy speaks for itself (LOCAL, a
	// health check), or it knows no more (UNKNOWN, UNSPEC).
	Local bool
	// Client and Server are the two ends of the connection to the proxy. Unix sockets are without their paths.
	Client, Server exchange.Address
}

// Ends are the two ends as far as they are addresses of use: a unix socket's is none.
func (h *Header) Ends() (client, server exchange.Address) {
	if h.Client.Family != exchange.Unix {
		client = h.Client
	}
	if h.Server.Family != exchange.Unix {
		server = h.Server
	}
	return client, server
}

var errNoHeader = errors.New("no PROXY protocol header")

// Parse reads the header at the start of buf. n > 0 means that it is complete and n bytes long. n == 0 without an error means
// that more bytes are needed: call again with the same bytes and more behind them. After an error the connection is of no use.
func Parse(buf []byte) (h Header, n int, err error) {
	switch {
	case len(buf) == 0:
		return Header{}, 0, nil
	case buf[0] == textStart[0]:
		return parseText(buf)
	case buf[0] == signature[0]:
		return parseBinary(buf)
	}
	return Header{}, 0, errNoHeader
}

// agree tells whether b begins like word, as far as both go.
func agree(b []byte, word string) bool {
	n := min(len(b), len(word))
	return string(b[:n]) == word[:n]
}
