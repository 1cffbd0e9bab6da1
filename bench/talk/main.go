// Command talk is the bench's client for what is not HTTP: it sends lines over TCP, or TLS, or datagrams, and checks that each comes
// back. It prints how many did. With tls-new each line has a connection of its own.
//
//	talk tcp|tls|tls-new|udp HOST:PORT CONNECTIONS IN-FLIGHT SECONDS
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

const size = 64 // of a line or datagram, in bytes

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: talk tcp|tls|tls-new|udp HOST:PORT CONNECTIONS IN-FLIGHT SECONDS")
		os.Exit(2)
	}
	var numbers [3]int
	for i, text := range os.Args[3:] {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fmt.Fprintln(os.Stderr, "error: not a number from 1 on:", text)
			os.Exit(2)
		}
		numbers[i] = n
	}
	end := time.Now().Add(time.Duration(numbers[2]) * time.Second)
	counts := make([]int, numbers[0])
	errs := make([]error, numbers[0])
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() { counts[i], errs[i] = talk(os.Args[1], os.Args[2], numbers[1], end) })
	}
	wg.Wait()
	total := 0
	for i, n := range counts {
		if errs[i] != nil {
			fmt.Fprintln(os.Stderr, "error:", errs[i])
			os.Exit(1)
		}
		total += n
	}
	fmt.Println(total)
}

// talk sends rows of messages until the end, over one connection or over new ones, each row when the one before is back.
func talk(network, address string, inFlight int, end time.Time) (count int, err error) {
	if network != "tls-new" {
		return talkOn(network, address, inFlight, end, 1<<62)
	}
	for time.Now().Before(end) && err == nil {
		var n int
		n, err = talkOn("tls", address, inFlight, end, 1)
		count += n
	}
	return count, err
}

// dial connects; whose certificate the server has does not matter here. All servers have to agree on the same keys.
func dial(network, address string) (net.Conn, error) {
	if network == "tls" {
		return tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
	}
	return net.Dial(network, address)
}

// talkOn sends at most so many rows over one connection.
func talkOn(network, address string, inFlight int, end time.Time, rows int) (count int, err error) {
	c, err := dial(network, address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	message := append(bytes.Repeat([]byte("x"), size-1), '\n')
	row := bytes.Repeat(message, inFlight)
	back := make([]byte, len(row), len(row)+1) // a datagram that is too long is to be seen
	for ; rows > 0 && time.Now().Before(end); rows-- {
		if err = c.SetDeadline(end.Add(5 * time.Second)); err != nil {
			return count, err
		}
		if network == "udp" {
			err = datagrams(c, message, back[:size+1], inFlight)
		} else if _, err = c.Write(row); err == nil {
			_, err = io.ReadFull(c, back)
		}
		if err != nil {
			return count, err
		}
		if network != "udp" && !bytes.Equal(back, row) {
			return count, fmt.Errorf("%q came back", back)
		}
		count += inFlight
	}
	return count, nil
}

// datagrams sends a row of them, and takes as many.
func datagrams(c net.Conn, message, back []byte, inFlight int) error {
	for range inFlight {
		if _, err := c.Write(message); err != nil {
			return err
		}
	}
	for range inFlight {
		n, err := c.Read(back)
		if err != nil {
			return err
		}
		if !bytes.Equal(back[:n], message) {
			return fmt.Errorf("%q came back", back[:n])
		}
	}
	return nil
}
