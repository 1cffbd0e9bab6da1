// Command wscases runs the table of internal/wscases against a server whose application echoes each WebSocket message in kind, over TCP,
// and prints how many cases of each family pass:
//
//	go run ./internal/tools/wscases -addr 127.0.0.1:8000 -path /echo
//
// It ends with 1 if a case failed. -run 5. takes the cases whose numbers begin so.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/wscases"
)

// plan is what the flags say.
type plan struct {
	addr, path, run string
	limit, parallel int
	most            int
	timeout         time.Duration
	verbose         bool
}

func main() {
	p, err := parseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	cases, err := wscases.All(p.limit)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if p.all(cases, os.Stdout) > 0 {
		os.Exit(1)
	}
}

func parseFlags(args []string, complaints io.Writer) (p plan, err error) {
	f := flag.NewFlagSet("wscases", flag.ContinueOnError)
	f.SetOutput(complaints)
	f.StringVar(&p.addr, "addr", "", "server, `host:port`")
	f.StringVar(&p.path, "path", "/", "target of the handshake")
	f.StringVar(&p.run, "run", "", "take the cases whose `number` begins so")
	f.IntVar(&p.limit, "limit", 16<<20, "the server's limit of a message, in `bytes`")
	f.IntVar(&p.most, "most", 1<<40, "leave out cases that send more than so many `bytes`")
	f.IntVar(&p.parallel, "parallel", 4, "cases at once")
	f.DurationVar(&p.timeout, "timeout", time.Minute, "for one case")
	f.BoolVar(&p.verbose, "v", false, "name the cases that pass, too")
	if err = f.Parse(args); err != nil {
		return p, err
	}
	if p.addr == "" || p.parallel < 1 || f.NArg() > 0 {
		return p, errors.New("-addr host:port is needed, and nothing else but flags")
	}
	return p, nil
}

// takes tells whether a case is to be run.
func (p plan) takes(c *wscases.Case) bool {
	return strings.HasPrefix(c.Number, p.run) && c.Bytes() <= p.most
}

// all runs the cases and prints what fails, and the families.
func (p plan) all(cases []*wscases.Case, out io.Writer) (failed int) {
	passed, total := map[string]int{}, map[string]int{}
	outcomes := make([]error, len(cases))
	var running sync.WaitGroup
	places := make(chan struct{}, p.parallel)
	for i, c := range cases {
		if !p.takes(c) {
			continue
		}
		total[c.Family()]++
		places <- struct{}{}
		running.Go(func() {
			outcomes[i] = wscases.RunTCP(c, p.addr, p.path, p.timeout)
			<-places
		})
	}
	running.Wait()
	for i, c := range cases {
		if !p.takes(c) {
			continue
		}
		switch {
		case outcomes[i] != nil:
			failed++
			fmt.Fprintf(out, "FAIL %s %s (%s): %v\n", c.Number, c.Title, c.Rule, outcomes[i])
		case p.verbose:
			fmt.Fprintf(out, "ok   %s %s (%s)\n", c.Number, c.Title, c.Rule)
		}
		if outcomes[i] == nil {
			passed[c.Family()]++
		}
	}
	for _, f := range wscases.Families() {
		if total[f[0]] > 0 {
			fmt.Fprintf(out, "%2s %-50s %d/%d\n", f[0], f[1], passed[f[0]], total[f[0]])
		}
	}
	return failed
}
