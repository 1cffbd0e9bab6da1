//go:build linux

// Command load is the bench's own HTTP/1.1 client. Unlike wrk it checks every reply (status, body length, body bytes),
// and it can send at a fixed rate without coordinated omission: request i is due at start + i/rate whatever the server
// does, goes out on the first free connection, and its latency counts from the moment it was due.
//
// With -rate 0 it is a closed loop of -count requests: the check that runs before each measured row. With -hold it keeps
// its connections idle until a line arrives on standard input, then uses each one again, so that a server that dropped
// them gets no credit. With -drip each of them then sends one byte per second of a head that never ends, until that line.
//
// With -also it asks for other paths too, drawn by -seed, and says the latencies of each path. With -reconnect, for reloads,
// a server may end connections as HTTP allows it to, and failures are counted to the end of the run.
//
// With -socket it speaks WebSocket: a handshake without extensions, then random texts of -echo bytes that have to come back; without
// -count, for -duration. With -broadcast, after a line on standard input, the first connection says something again and again, and
// each time all of them have to hear it.
//
// The result is one JSON object per line on standard output.
//
// One thread, one epoll, no goroutines: its own CPU is part of the machine that the server runs on, and is reported.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

func main() {
	p, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if err := run(p); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (p plan, err error) {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	addr := f.String("addr", "127.0.0.1:8000", "server, IPv4 `host:port`")
	method := f.String("method", "GET", "request method")
	path := f.String("path", "/", "request target")
	contentType := f.String("content-type", "", "the request body's content-type")
	bodyFile := f.String("body", "", "`file` with the request body")
	expectFile := f.String("expect", "", "`file` with the exact body each reply must have")
	fields := f.Int("fields", 0, "send `N` more header fields, x-field-01 and so on, with values of 20 bytes")
	echo := f.Int("echo", 0, "send `N` random bytes, different each time, and expect the same back")
	closing := f.Bool("closing", false, "each reply says that it ends its connection, and the next request opens another")
	f.IntVar(&p.connections, "connections", 64, "connections")
	f.IntVar(&p.inFlight, "in-flight", 0, "requests under way at once (0: one on each connection)")
	f.Float64Var(&p.rate, "rate", 0, "requests per second, open loop (0: closed loop)")
	f.IntVar(&p.count, "count", 0, "requests to send (with -rate: rate × duration)")
	duration := f.Duration("duration", 5*time.Second, "length of an open loop, of a closed one without -count, and of a broadcast")
	socket := f.Bool("socket", false, "speak WebSocket: send texts of -echo bytes, and expect them back")
	f.IntVar(&p.broadcast, "broadcast", 0, "after a line on standard input, have all connections told messages of `N` bytes")
	reconnect := f.Bool("reconnect", false, "the server may end a connection with a reply, or idle; failures don't end the run")
	var also []kind
	f.Func("also", "`PATH,SHARE,FILE`: of all requests this share goes to PATH, and is answered with FILE; may be repeated",
		func(text string) error {
			k, err := parseAlso(text)
			also = append(also, k)
			return err
		})
	f.Uint64Var(&p.seed, "seed", 0, "of the draws for -also")
	f.BoolVar(&p.hold, "hold", false, "hold the connections idle until a line on standard input, then use each again")
	f.BoolVar(&p.drip, "drip", false, "send a byte per second on each connection until a line on standard input (a pipe)")
	if err = f.Parse(args); err != nil {
		return p, err
	}
	switch {
	case p.rate > 0:
		p.count = int(p.rate * duration.Seconds())
	case p.count == 0:
		p.count, p.length = math.MaxInt, *duration
	}
	p.lasting = *duration
	if p.broadcast < 0 || p.broadcast > largest16 || p.broadcast > 0 && !*socket || p.length > 0 && len(also) > 0 {
		return p, fmt.Errorf("-broadcast: want at most %d bytes, with -socket; -also: want -rate or -count", largest16)
	}
	if p.inFlight == 0 {
		p.inFlight = p.connections
	}
	p.exchange, err = newExchange(exchangeFlags{
		*addr, *method, *path, *contentType, *bodyFile, *expectFile, *fields, *echo, *closing, *reconnect, *socket, also,
	})
	return p, err
}

func run(p plan) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // samples are preallocated; a collection would only show up as latency
	debug.SetMemoryLimit(1 << 30)
	c, err := newClient(p)
	if err != nil {
		return err
	}
	defer c.close()
	out := json.NewEncoder(os.Stdout)
	if err := report(out, c); err != nil || !p.hold && !p.drip && p.broadcast == 0 {
		return err
	}
	if p.drip {
		r, err := newDrip(c).run(os.Stdin)
		if err != nil {
			return err
		}
		return out.Encode(r)
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	if p.broadcast > 0 {
		r, err := newBroadcast(c).run(p.lasting)
		if err != nil {
			return err
		}
		return out.Encode(r)
	}
	return report(out, c)
}

func report(out *json.Encoder, c *client) error {
	r, err := c.run()
	if err != nil {
		return err
	}
	return out.Encode(r)
}
