package reactor

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/listen"
)

// talk is a protocol that tells the test what happens, and reads what comes.
type talk struct {
	Conn
	got              []byte
	deaf             bool // does not read
	keepsHalf        bool // a half-closed connection is still of use
	losses, endings  int
	drains, timeouts int
	told             chan string
}

func (k *talk) Input() {
	for !k.deaf && k.Readable() && !k.Closed() {
		k.got = append(k.got, k.Receive(ReadSize)...)
	}
	k.tell("input")
}
func (k *talk) Drained()     { k.drains++; k.tell("drained") }
func (k *talk) Lost()        { k.losses++; k.tell("lost") }
func (k *talk) Ended()       { k.endings++; k.tell("ended") }
func (k *talk) Hangup() bool { return k.keepsHalf }
func (k *talk) Expire()      { k.timeouts++; k.tell("expire") }

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
		if err := k.Open(r, fds[0], k, exchange.Address{Family: exchange.Unix}, exchange.Address{}); err != nil {
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
				do(t, r, func() { k.Send(piece(300), piece(30_000), string(piece(20))) })
				do(t, r, func() { k.Send(piece(300), nil, "") })
			}
			do(t, r, func() { k.Shut(false) })
			got := readAll(t, peer)
			if !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%d bytes arrived of %d, or in another order", len(got), want.Len())
			}
			k.until(t, "ended")
			do(t, r, func() {
				if k.Pending() || k.losses != 0 || k.endings != 1 {
					t.Errorf("pending %v, %d losses, %d endings", k.Pending(), k.losses, k.endings)
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
		k.Send(make([]byte, 4<<20), nil, "")
		if !k.Pending() || k.drains != 0 {
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
		if k.Pending() || k.drains != 1 || k.out != nil {
			t.Errorf("pending %v, told %d times; an idle connection holds no buffer", k.Pending(), k.drains)
		}
	})
}

func TestInputArrivesWholeHoweverItIsSplit(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, socketPair(t))
	do(t, r, func() { k.keepsHalf = true })
	want := make([]byte, 3*ReadSize+17)
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
					k.Send([]byte("x"), nil, "")
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
	do(t, r, func() { k.Reset() })
	if _, err := peer.Read(make([]byte, 1)); err == nil || err.Error() == "EOF" {
		t.Fatalf("the peer saw %v", err)
	}
}

func TestALingeringCloseLetsThePeerReadTheAnswerItIsStillSendingTo(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, tcpPair(t))
	do(t, r, func() {
		k.deaf = true
		k.Send([]byte("answer"), nil, "")
		k.Shut(true)
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
	do(t, r, func() { k.Shut(true) })
	k.until(t, "ended") // after lingerTime
}

func TestATimerIsTheProtocolsUntilOutputWaits(t *testing.T) {
	r := startReactor(t, &idleSource{})
	do(t, r, func() { r.SendTimeout = Tick })
	k, peer := startTalk(t, r, socketPair(t))
	do(t, r, func() { k.SetTimer(time.Hour); k.StopTimer(); k.SetTimer(time.Millisecond) })
	k.until(t, "expire")
	do(t, r, func() {
		k.Send(make([]byte, 4<<20), nil, "")
		k.StopTimer() // neither ends the wait for the peer
		k.SetTimer(time.Hour)
	})
	for range 3 { // what the peer takes puts the end of its time off
		if _, err := peer.Read(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	k.until(t, "expire")
	do(t, r, func() {
		if !k.Pending() || k.seen != k.moved {
			t.Error("the time was over while the peer took what was sent")
		}
	})
}

func TestAnotherProtocolGoesOnWithAConnection(t *testing.T) {
	r := startReactor(t, &idleSource{})
	k, peer := startTalk(t, r, socketPair(t))
	other := &talk{told: make(chan string, 1000)}
	do(t, r, func() {
		k.Speak(other)
		r.Each(func(p Protocol) {
			if p != Protocol(other) {
				t.Error("the protocol before is found")
			}
		})
	})
	_ = peer.Close()
	other.until(t, "ended")
	if k.losses+k.endings != 0 || other.losses != 1 || other.endings != 1 {
		t.Errorf("told of %d and %d ends", k.losses+k.endings, other.losses+other.endings)
	}
}

func TestAConnectionKnowsItsEnds(t *testing.T) {
	r := startReactor(t, &idleSource{})
	here := exchange.Address{Family: exchange.IPv4, IP: [16]byte{127, 0, 0, 1}}
	there := exchange.Address{Family: exchange.IPv4, IP: [16]byte{192, 0, 2, 1}, Port: 80}
	for _, c := range []struct {
		name                         string
		pair                         func(*testing.T) [2]int
		client, bound, peers, server exchange.Address
	}{
		{"bound to an address", tcpPair, there, there, there, there},
		{"bound to any", tcpPair, there, exchange.Address{}, there, here},
		{
			"unix", func(t *testing.T) [2]int { return socketPair(t) },
			exchange.Address{Family: exchange.Unix},
			exchange.Address{Family: exchange.Unix},
			exchange.Address{},
			exchange.Address{Family: exchange.Unix},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fds := c.pair(t)
			defer unix.Close(fds[1])
			k := &talk{}
			do(t, r, func() {
				if err := k.Open(r, fds[0], k, c.client, c.bound); err != nil {
					t.Error(err)
					return
				}
				if k.Server.Port != 0 && c.server == here {
					c.server.Port = k.Server.Port
				}
				if k.Client != c.peers || k.Server != c.server {
					t.Errorf("%v at %v", k.Client, k.Server)
				}
				k.close()
			})
		})
	}
}
