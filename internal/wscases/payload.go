package wscases

import (
	"fmt"
	"math/rand/v2"
)

// generators make payloads that compress well, badly and not at all. The same size has the same bytes, always.
var generators = map[string]func(n int) []byte{
	"json":  json,
	"words": words,
	"utf8":  greek,
	"noise": noise,
	"zeros": func(n int) []byte { return make([]byte, n) },
}

func json(n int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	b := []byte("[")
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, `{"id":%d,"user":{"name":"user%d","since":"20%02d-%02d-01"},"tags":["a","b"],"score":%.3f},`,
			i, r.IntN(1000), r.IntN(30), 1+r.IntN(12), r.Float64())
	}
	return b[:n]
}

var vocabulary = []string{
	"the ", "of ", "and ", "a ", "to ", "in ", "he ", "that ", "was ", "it ", "his ", "her ", "with ", "as ", "had ", "for ", "she ",
	"socket ", "server ", "window ", "message ", "nothing ", "house, ", "morning ", "letter ", "garden.\n", "people ", "remembered ",
}

func words(n int) []byte {
	r := rand.New(rand.NewPCG(2, 2))
	var b []byte
	for len(b) < n {
		b = append(b, vocabulary[r.IntN(len(vocabulary))]...)
	}
	return b[:n]
}

// greek is UTF-8 of two, three and four bytes a character, filled up with ASCII.
func greek(n int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	alphabet := []string{"κ", "ό", "σ", "μ", "ε", "€", "語", "😀", "𝄞", " "}
	var b []byte
	for len(b) < n-4 {
		b = append(b, alphabet[r.IntN(len(alphabet))]...)
	}
	for len(b) < n {
		b = append(b, '.')
	}
	return b
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(4, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
