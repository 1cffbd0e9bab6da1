package reactor

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/listen"
)

// talk is a protocol that tells the test what happens, and reads what comes.
type talk struct {
	conn
	got              []byte
	deaf             bool // does not read
	keepsHalf        bool // a half-closed connection is still of use
	losses, endings  int
	drains, timeouts int
	told             chan string
}

func (k *talk) input() {
	for !k.deaf && k.canRead && !k.closed {
		n := k.receive(k.r.read)
		k.got = append(k.got, k.r.read[:n]...)
	}
	k.tell("input")
}
func (k *talk) drained()     { k.drains++; k.tell("drained") }
func (k *talk) lost()        { k.losses++; k.tell("lost") }
func (k *talk) ended()       { k.endings++; k.tell("ended") }
func (k *talk) hangup() bool { return k.keepsHalf }
func (k *talk) expire() {
	if !k.expired() {
		k.timeouts++
	}
}

func (k *talk) tell(what string) {
	select {
	case k.told <- what:
	default:
	}
}

// until waits for something the protocol is told.
func (k *talk) until(t *testing.T, what string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-k.told:
			if got == what {
				return
			}
		case <-deadline:
			t.Fatalf("waited in vain for %q", what)
		}
	}
}

// startTalk puts one end of a pair of sockets on a reactor, and returns the other as a connection.
func startTalk(t *testing.T, r *Reactor, fds [2]int) (*talk, net.Conn) {
	t.Helper()
	k := &talk{told: make(chan string, 100_000)}
	f := os.NewFile(uintptr(fds[1]), "peer")
	peer, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = peer.Close() })
	do(t, r, func() {
		if err := k.open(r, fds[0], k); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { do(t, r, func() { k.close() }) })
	settle(t, r) // the first event says that it can be written to
	return k, peer
}

// tcpPair returns two ends of a loopback connection.
func tcpPair(t *testing.T) [2]int {
	t.Helper()
	s, err := listen.TCP("127.0.0.1", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(client, &unix.SockaddrInet4{Port: int(s.Address.Port()), Addr: s.Address.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetNonblock(client, true)
	fd, _, err := acceptSocket(s.FD)
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{fd, client}
}

func TestOutputArrivesWholeAndInOrderThroughATinySendBuffer(t *testing.T) {
	for _, kind := range []struct {
		name string
		pair func(*testing.T) [2]int
	}{{"unix", func(t *testing.T) [2]int { return socketPair(t) }}, {"tcp", tcpPair}} {
		t.Run(kind.name, func(t *testing.T) {
			r := startReactor(t, &idleSource{})
			fds := kind.pair(t)
			_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
			k, peer := startTalk(t, r, fds)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			var want bytes.Buffer
			piece := func(most int) []byte {
				p := make([]byte, rnd.IntN(most))
				for i := range p {
					p[i] = byte(rnd.Uint32())
				}
				want.Write(p)
				return p
			}
			for range 40 {
				do(t, r, func() { k.send(piece(300), piece(30_000), string(piece(20))) })
				do(t, r, func() { k.send(piece(300), nil, "") })
			}
			do(t, r, func() { k.shut(false) })
			got := readAll(t, peer)
			if !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%d bytes arrived of %d, or in another order", len(got), want.Len())
			}
			k.until(t, "ended")
			do(t, r, func() {
				if k.pending() || k.losses != 0 || k.endings != 1 {
					t.Errorf("pending %v, %d losses, %d endings", k.pending(), k.losses, k.endings)
				}
			})
		})
	}
}

func readAll(t *testing.T, c net.Conn) []byte {
	t.Helper()
	var got []byte
	b := make([]byte, 1000)
	for {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			if isTimeout(err) {
				t.Fatal(err)
			}
			return got
		}
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func TestTheProtocolIsToldWhenPendingOutputHasLeft(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, socketPair(t))
	do(t, r, func() {
		k.send(make([]byte, 4<<20), nil, "")
		if !k.pending() || k.drains != 0 {
			t.Error("4 MiB left at once: the test proves nothing")
		}
	})
	for n := 0; n < 4<<20; {
		m, err := peer.Read(make([]byte, 64<<10))
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	k.until(t, "drained")
	do(t, r, func() {
		if k.pending() || k.drains != 1 || k.out != nil {
			t.Errorf("pending %v, told %d times; an idle connection holds no buffer", k.pending(), k.drains)
		}
	})
}

func TestInputArrivesWholeHoweverItIsSplit(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, socketPair(t))
	do(t, r, func() { k.keepsHalf = true })
	want := make([]byte, 3*readSize+17)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for rest := want; len(rest) > 0; {
		n, err := peer.Write(rest[:min(len(rest), 1+len(rest)*5%9973)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	_ = peer.(*net.UnixConn).CloseWrite()
	k.until(t, "lost") // a read of nothing
	do(t, r, func() {
		if !bytes.Equal(k.got, want) {
			t.Errorf("%d bytes of %d", len(k.got), len(want))
		}
	})
}

func TestEndsOfAConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		happen func(k *talk, peer *net.TCPConn)
	}{
		{"the peer hangs up and the protocol has no use for a half", func(_ *talk, peer *net.TCPConn) { _ = peer.CloseWrite() }},
		{"the peer resets", func(_ *talk, peer *net.TCPConn) { _ = peer.SetLinger(0); _ = peer.Close() }},
		{"the peer is gone and something is sent", func(k *talk, peer *net.TCPConn) {
			k.r.Post(func() { k.deaf = true })
			_ = peer.SetLinger(0)
			_ = peer.Close()
			k.r.Post(func() {
				for range 100 {
					k.send([]byte("x"), nil, "")
				}
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startReactor(t, &idleSource{})
			k, peer := startTalk(t, r, tcpPair(t))
			c.happen(k, peer.(*net.TCPConn))
			k.until(t, "ended")
			do(t, r, func() {
				if k.losses != 1 || k.endings != 1 {
					t.Errorf("told of %d losses and %d endings", k.losses, k.endings)
				}
				if len(r.slots) != len(r.free) {
					t.Errorf("%d of %d slots are free", len(r.free), len(r.slots))
				}
			})
		})
	}
}

func TestAResetIsSeenAsAnError(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, tcpPair(t))
	do(t, r, func() { k.reset() })
	if _, err := peer.Read(make([]byte, 1)); err == nil || err.Error() == "EOF" {
		t.Fatalf("the peer saw %v", err)
	}
}

func TestALingeringCloseLetsThePeerReadTheAnswerItIsStillSendingTo(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, tcpPair(t))
	do(t, r, func() {
		k.deaf = true
		k.send([]byte("answer"), nil, "")
		k.shut(true)
	})
	for range 100 { // would meet a reset if the socket were closed
		if _, err := peer.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if got := readAll(t, peer); string(got) != "answer" {
		t.Fatalf("%q", got)
	}
	_ = peer.Close()
	k.until(t, "ended")
	do(t, r, func() {
		if k.losses != 0 {
			t.Error("the protocol was told of a loss after it had ended the connection")
		}
	})
}

func TestALingeringCloseEndsForAPeerThatNeverStops(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, _ := startTalk(t, r, tcpPair(t))
	do(t, r, func() { k.shut(true) })
	k.until(t, "ended") // after lingerTime
}
