package mail

import (
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Rates bounds how many messages a client may begin in a minute. All reactors share one. A nil one bounds nothing.
type Rates struct {
	most  int
	mu    sync.Mutex
	since time.Time // when the minute began
	begun map[client]int
}

// client is an address, or the network that one has to itself: of IPv6 the first 64 bits.
type client [16]byte

const (
	rateWindow = time.Minute
	// mostClients is how many are counted in a minute; those who come later than that many others are let through.
	mostClients = 100_000
)

// NewRates bounds messages in a minute to most; 0 is no bound.
func NewRates(most int) *Rates {
	if most == 0 {
		return nil
	}
	return &Rates{most: most, begun: map[client]int{}}
}

// exceeds counts one more message, and says whether it is one too many. Who has no address is never counted: it comes by a unix socket.
func (r *Rates) exceeds(from *exchange.Address, now time.Time) bool {
	if r == nil || from.Family != exchange.IPv4 && from.Family != exchange.IPv6 {
		return false
	}
	who := client(from.IP)
	if from.Family == exchange.IPv6 {
		clear(who[8:])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= rateWindow {
		r.since = now
		clear(r.begun)
	}
	n, known := r.begun[who]
	if known || len(r.begun) < mostClients {
		r.begun[who] = n + 1
	}
	return n >= r.most
}
