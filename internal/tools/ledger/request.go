package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Sizes and times of requests.
const (
	maxUpload = 256 << 10
	maxStream = 1 << 20
)

// milliseconds is from how many to how many a kind of request waits or computes.
var milliseconds = map[string][2]int{"wait": {1, 200}, "burn": {1, 20}, "stall": {1000, 3000}}

// abortable are the kinds that a client may leave in the middle of.
var abortable = []string{"hello", "sum", "wait", "burn", "stream"}

// share is a kind of request, and its weight among the others.
type share struct {
	kind   string
	weight int
}

// parseMix reads "hello=9,abort=1".
func parseMix(text string) (mix []share, err error) {
	total := 0
	for part := range strings.SplitSeq(text, ",") {
		kind, weight, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(weight)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("-mix: want kind=weight, got `%s`", part)
		}
		switch kind {
		case "hello", "sum", "wait", "burn", "stall", "hang", "stream", "abort":
		default:
			return nil, fmt.Errorf("-mix: there is no kind `%s`", kind)
		}
		mix, total = append(mix, share{kind, n}), total+n
	}
	if total == 0 {
		return nil, errors.New("-mix: every weight is 0")
	}
	return mix, nil
}

// draw takes a kind by its weight.
func draw(mix []share, dice *rand.Rand) string {
	total := 0
	for _, s := range mix {
		total += s.weight
	}
	at := dice.IntN(total)
	for _, s := range mix {
		if at -= s.weight; at < 0 {
			return s.kind
		}
	}
	panic("unreachable: the weights add up to total")
}

// stage is where a client leaves.
type stage uint8

const (
	never      stage = iota
	inHead           // after a part of the request's head
	inBody           // after a part of its body, or of its head if it has none
	inWait           // after all of it, a moment later
	inResponse       // when the answer begins
	stages
)

// request is one to send, and what must come back.
type request struct {
	id, kind string
	text     []byte        // as it is sent
	head     int           // length of its head
	expect   repeated      // the body of a 200
	pause    time.Duration // before each part of the answer is read
	leave    stage
	linger   time.Duration // before leaving
	hard     bool          // leave with a reset, not an end
}

// newRequest makes one of a kind.
func newRequest(addr, id, kind string, closing bool, dice *rand.Rand) *request {
	r := &request{id: id, kind: kind}
	if kind == "abort" {
		kind = abortable[dice.IntN(len(abortable))]
		r.kind = "abort-" + kind
		r.leave = 1 + stage(dice.IntN(int(stages)-1))
		r.linger = time.Duration(dice.IntN(20)) * time.Millisecond
		r.hard = dice.IntN(2) == 0
	}
	method, path, more := "GET", kind, ""
	var body []byte
	switch kind {
	case "hello":
		r.expect = whole("hello " + id)
	case "sum":
		method = "POST"
		body = bytesOf(dice, skewed(dice, 0, maxUpload))
		r.expect = whole(fmt.Sprintf("%s %08x %d", id, crc32.ChecksumIEEE(body), len(body)))
	case "wait", "burn", "stall":
		most := milliseconds[kind]
		more = fmt.Sprintf("&ms=%d", most[0]+dice.IntN(most[1]-most[0]+1))
		r.expect = whole("waited " + id)
		if kind != "wait" {
			path, r.expect = "burn", whole("burned "+id)
		}
	case "stream":
		n := skewed(dice, 1000, maxStream)
		more = fmt.Sprintf("&n=%d", n)
		r.expect = repeated{text: id + "\n", left: n}
		r.pause = time.Duration(dice.IntN(4)) * time.Millisecond
	}
	r.text = fmt.Appendf(nil, "%s /%s?id=%s%s HTTP/1.1\r\nHost: %s\r\n", method, path, id, more, addr)
	if method == "POST" {
		r.text = fmt.Appendf(r.text, "Content-Length: %d\r\n", len(body))
	}
	if closing {
		r.text = append(r.text, "Connection: close\r\n"...)
	}
	r.text = append(r.text, "\r\n"...)
	r.head = len(r.text)
	r.text = append(r.text, body...)
	return r
}

// skewed draws a size: small ones are likelier.
func skewed(dice *rand.Rand, least, most int) int {
	return least + int(math.Pow(dice.Float64(), 4)*float64(most-least))
}

func bytesOf(dice *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(dice.Uint32())
	}
	return b
}

// repeated is a body that need not be held in memory: a text over and over, cut off somewhere.
type repeated struct {
	text string
	at   int // in text
	left int
}

func whole(text string) repeated { return repeated{text: text, left: len(text)} }

// goesOn says whether p comes next, and steps over it.
func (r *repeated) goesOn(p []byte) bool {
	if len(p) > r.left {
		return false
	}
	r.left -= len(p)
	for _, c := range p {
		if c != r.text[r.at] {
			return false
		}
		if r.at++; r.at == len(r.text) {
			r.at = 0
		}
	}
	return true
}
