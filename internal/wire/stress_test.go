package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// The race detector can't see memory that two processes share, so the rings prove themselves: a child process echoes every
// frame it gets, both sides sleep whenever they can, and each frame carries a checksum. A lost wake-up hangs, and the test's
// deadline says so; a torn or reordered frame fails its sum.

const stressFrames = 200_000

func TestMain(m *testing.M) {
	if os.Getenv("AWAITD_WIRE_ECHO") != "" {
		echo()
		return
	}
	os.Exit(m.Run())
}

// echo is the child: it maps descriptor 3, waits on 4, rings 5.
func echo() {
	size, _ := strconv.Atoi(os.Getenv("AWAITD_WIRE_ECHO"))
	mem, err := unix.Mmap(3, 0, headerPage+2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	in := Consumer{ring: ringAt(mem, offToWorker, headerPage, size)}
	out := Producer{ring: ringAt(mem, offToServer, headerPage+size, size)}
	server := &Bell{wait: 5, ring: 5}
	for n := 0; n < stressFrames; {
		f, ok, err := in.Next()
		if err != nil {
			panic(err)
		}
		if !ok {
			tell(&in, &out, server)
			if in.Arm() {
				waitBell(4)
				in.Disarm()
			}
			continue
		}
		copied := append([]byte(nil), f.Payload[:f.Length]...) // telling the server releases the frame
		for {
			ok, err := out.WriteParts(f.Header, copied)
			if err != nil {
				panic(err)
			}
			if ok {
				break
			}
			tell(&in, &out, server)
			if room, _ := out.Await(int(f.Size)); !room {
				waitBell(4)
			}
		}
		n++
	}
	tell(&in, &out, server)
}

// tell publishes both what was read and what was written.
func tell(in *Consumer, out *Producer, server *Bell) {
	released, published := in.Release(), out.Publish()
	if released || published {
		server.Ring()
	}
}

func waitBell(fd int) {
	var b [8]byte
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(fds, -1)
	_, _ = unix.Read(fd, b[:])
}

func TestTwoProcessesExchangeFramesWithoutLossOrTearing(t *testing.T) {
	l, _ := newTestLink(t, MinRing)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "AWAITD_WIRE_ECHO="+strconv.Itoa(MinRing))
	for _, fd := range []int{l.memory, l.worker.wait, l.bell.wait} {
		dup, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(dup), "stress")
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	runStress(t, l, rand.New(rand.NewPCG(seed, 1)))
}

func runStress(t *testing.T, l *Link, rnd *rand.Rand) {
	payload := make([]byte, MinRing/4-HeaderSize)
	sent, got := 0, 0
	for got < stressFrames {
		for burst := rnd.IntN(64); burst > 0 && sent < stressFrames; burst-- {
			n := 8 + rnd.IntN(200)
			if rnd.IntN(100) == 0 {
				n = 8 + rnd.IntN(len(payload)-8)
			}
			fill(payload[:n], uint32(sent))
			ok, err := l.Out.WriteParts(Header{Stream: uint32(sent) & 0xfffff, Type: Data, Length: uint32(n)}, payload[:n])
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			sent++
		}
		l.Publish()
		got += collect(t, l, got)
		if got < stressFrames && l.In.Arm() {
			if room, _ := l.Out.Await(len(payload) + HeaderSize); sent == stressFrames || (!room && !l.Out.Fits(HeaderSize+len(payload))) {
				waitBell(l.bell.wait)
			}
			l.In.Disarm()
		}
	}
}

// fill writes a number, noise, and a checksum over both.
func fill(p []byte, n uint32) {
	binary.LittleEndian.PutUint32(p[4:], n)
	for i := 8; i < len(p); i++ {
		p[i] = byte(int(n) * i)
	}
	binary.LittleEndian.PutUint32(p, crc32.ChecksumIEEE(p[4:]))
}

func collect(t *testing.T, l *Link, next int) int {
	n := 0
	for {
		f, ok, err := l.In.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			l.Release()
			return n
		}
		p := f.Payload[:f.Length]
		if crc32.ChecksumIEEE(p[4:]) != binary.LittleEndian.Uint32(p) || binary.LittleEndian.Uint32(p[4:]) != uint32(next+n) {
			t.Fatalf("frame %d arrived torn or out of order", next+n)
		}
		n++
	}
}
