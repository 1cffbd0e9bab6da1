//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

// maxKinds bounds a mix; a draw is a byte.
const maxKinds = 8

// kind is one of the requests of a mix. Without a mix there is one.
type kind struct {
	path   string
	share  float64 // of all requests; the first kind has what the others leave
	head   []byte  // request line and headers
	expect []byte  // the exact reply body; nil with echo
}

// parseAlso reads the value of -also: path, share and the file with the reply's body.
func parseAlso(text string) (k kind, err error) {
	words := strings.SplitN(text, ",", 3)
	if len(words) != 3 {
		return k, fmt.Errorf("want PATH,SHARE,FILE, got `%s`", text)
	}
	k.path = words[0]
	if k.share, err = strconv.ParseFloat(words[1], 64); err != nil || !(k.share > 0 && k.share < 1) {
		return k, fmt.Errorf("want a share between 0 and 1, got `%s`", words[1])
	}
	k.expect, err = os.ReadFile(words[2])
	return k, err
}

// draws says of which kind each of n requests is. It depends on nothing but its arguments, so every server is asked the same.
func draws(n int, kinds []kind, seed uint64) []uint8 {
	drawn := make([]uint8, n)
	if len(kinds) == 1 {
		return drawn
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range drawn {
		at := random.Float64()
		for k := 1; k < len(kinds); k++ {
			if at -= kinds[k].share; at < 0 {
				drawn[i] = uint8(k)
				break
			}
		}
	}
	return drawn
}
