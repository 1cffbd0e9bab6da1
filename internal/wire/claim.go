package wire

import (
	"sync/atomic"
	"unsafe"
)

// Revoke takes a request back that the worker has not started: the OPEN frame of n bytes that ends at position end. It reports
// false if the worker was first. Only the endpoint that owns the link may call it, and only while Consumed is before end.
func (p *Producer) Revoke(end uint64, n int) bool {
	at := int((end - uint64(n)) & uint64(len(p.data)-1))
	claim := (*atomic.Uint32)(unsafe.Pointer(&p.data[at+offClaim]))
	return claim.CompareAndSwap(claimOpen, claimRevoked)
}
