package mail

import (
	"net/netip"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

func TestAClientMayBeginSoManyMessagesInAMinute(t *testing.T) {
	r := NewRates(2)
	now := time.Now()
	for i, c := range []struct {
		from  string
		after time.Duration
		want  bool
	}{
		{"192.0.2.1", 0, false},
		{"192.0.2.1", time.Second, false},
		{"192.0.2.1", time.Second, true},
		{"192.0.2.2", time.Second, false},
		{"2001:db8::1", 0, false},
		{"2001:db8::2", 0, false},
		{"2001:db8::ffff:3", 0, true}, // of the same network
		{"2001:db8:0:1::1", 0, false},
		{"192.0.2.1", rateWindow, false},
	} {
		now = now.Add(c.after)
		a := exchange.AddressFrom(netip.AddrPortFrom(netip.MustParseAddr(c.from), uint16(1000+i)))
		if got := r.exceeds(&a, now); got != c.want {
			t.Errorf("%d: %s: %v", i, c.from, got)
		}
	}
	for range 5 {
		if r.exceeds(&exchange.Address{Family: exchange.Unix}, now) || NewRates(0).exceeds(&exchange.Address{Family: exchange.IPv4}, now) {
			t.Error("bounded without a bound, or without an address")
		}
	}
}

func TestClientsThatAreCountedAreBounded(t *testing.T) {
	r := NewRates(1)
	now := time.Now()
	for i := range mostClients + 10 {
		a := exchange.Address{Family: exchange.IPv4, IP: [16]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}}
		if r.exceeds(&a, now) {
			t.Fatal(i)
		}
	}
	if len(r.begun) != mostClients {
		t.Errorf("%d are counted", len(r.begun))
	}
}
