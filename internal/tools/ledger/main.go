// Command ledger loads a server and keeps the books: every request has an id of its own, and ends in exactly one outcome.
// It is for tests that break things meanwhile; bench/load is the client for figures.
//
// The application must know these targets, and answer with 200 and the body that is said here. ID is the request's:
//
//	GET  /hello?id=ID           hello ID
//	POST /sum?id=ID             ID, a space, the body's CRC-32 in 8 digits, a space, its length
//	GET  /wait?id=ID&ms=N       waited ID, after N milliseconds that others may use
//	GET  /burn?id=ID&ms=N       burned ID, after N milliseconds of computing
//	GET  /stream?id=ID&n=N      N bytes: ID and a line feed, over and over, in several pieces
//	GET  /hang?id=ID            no answer, for ever
//
// An outcome is a status code, or one of the words in outcomes. With -ledger each request is a line of a file when it ends:
// its id, its kind, when it was sent and when it ended in nanoseconds since 1970, and the outcome. A summary in JSON goes to
// standard output in the end: after -count requests, after -duration, or at SIGINT or SIGTERM, when what is under way has
// ended; at a second signal at once. The requests and their order on each connection follow from -seed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	p, err := parseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if err := run(p, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string, complaints io.Writer) (p plan, err error) {
	f := flag.NewFlagSet("ledger", flag.ContinueOnError)
	f.SetOutput(complaints)
	f.StringVar(&p.addr, "addr", "", "server, `host:port`")
	f.IntVar(&p.connections, "connections", 16, "connections")
	f.Float64Var(&p.closing, "closing", 0.1, "`share` of the connections that ask for their end with each request")
	f.Float64Var(&p.rate, "rate", 0, "requests per second, due whatever the server does (0: as fast as it answers)")
	f.IntVar(&p.count, "count", 0, "requests to send (0: no end)")
	f.DurationVar(&p.duration, "duration", 0, "for how long to send (0: no end)")
	f.DurationVar(&p.timeout, "timeout", 30*time.Second, "how long a request may take")
	f.Uint64Var(&p.seed, "seed", 1, "what the requests follow from")
	f.StringVar(&p.file, "ledger", "", "`file` for a line about each request")
	mixed := f.String("mix", "hello=1", "`kind=weight,…` of hello, sum, wait, burn, stall, hang, stream, abort")
	if err = f.Parse(args); err != nil {
		return p, err
	}
	if p.addr == "" || p.connections < 1 || f.NArg() > 0 {
		return p, errors.New("-addr host:port is needed, and at least one connection, and nothing else but flags")
	}
	p.mix, err = parseMix(*mixed)
	return p, err
}

// run sends until the plan or a signal ends it, and prints the summary.
func run(p plan, out io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	b := newBook()
	if p.file != "" {
		f, err := os.Create(p.file)
		if err != nil {
			return err
		}
		defer f.Close()
		b.keep(f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begun := time.Now()
	ended := make(chan struct{})
	go func() { // ends with the last client
		p.load(ctx, b)
		close(ended)
	}()
	for signalled := false; ; signalled = true {
		select {
		case <-ended:
		case <-signals:
			cancel()
			if !signalled {
				continue
			}
		}
		break
	}
	s, err := b.summary()
	s.Seed, s.Seconds = p.seed, time.Since(begun).Seconds()
	return errors.Join(err, json.NewEncoder(out).Encode(s))
}
