package stream

import (
	"github.com/awaitd/awaitd/internal/proxyproto"
	"github.com/awaitd/awaitd/internal/reactor"
)

// Proxied takes the header of the PROXY protocol off a connection's first bytes; kept are those that have come so far. When it is done,
// the connection's ends are what the header says, and rest is what came behind it; else rest is what is kept. local says that the header
// names nobody.
func Proxied(c *reactor.Conn, kept []byte) (rest []byte, local, done bool, err error) {
	for c.Readable() && !c.Closed() {
		buf := c.Receive(reactor.ReadSize)
		if len(buf) == 0 {
			if c.Finished() {
				c.Lose()
			}
			break
		}
		kept = append(kept, buf...)
		h, n, err := proxyproto.Parse(kept)
		if err != nil {
			return nil, false, false, err
		}
		if n > 0 {
			if !h.Local {
				c.Client, c.Server = h.Ends()
			}
			return kept[n:], h.Local, true, nil
		}
	}
	return kept, false, false, nil
}
