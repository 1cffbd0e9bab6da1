package config

import "fmt"

// addressWays are the ways to say where to listen; only one can be meant.
var addressWays = [][]string{{"host", "port"}, {"uds"}, {"fd"}, {"bind"}}

// chooseAddress keeps the one way that the highest source uses to say where to listen: a --port on the command line wins over the
// bind of a file. Two ways in one source contradict each other.
func (l *loader) chooseAddress() {
	top := byDefault
	for _, way := range addressWays {
		top = max(top, l.wayRank(way))
	}
	if top == byDefault {
		return
	}
	var winner []string
	for _, way := range addressWays {
		if l.wayRank(way) != top {
			continue
		}
		if winner != nil {
			l.contradiction(winner, way)
		}
		winner = way
	}
	for _, way := range addressWays {
		if l.wayRank(way) < top {
			l.drop(way, l.wayGiven(winner).source)
		}
	}
}

// wayGiven returns the highest given of a way's settings.
func (l *loader) wayGiven(way []string) *given {
	var top *given
	for _, name := range way {
		if g := l.given[name]; g != nil && (top == nil || g.rank > top.rank) {
			top = g
		}
	}
	return top
}

func (l *loader) wayRank(way []string) rank {
	if g := l.wayGiven(way); g != nil {
		return g.rank
	}
	return byDefault
}

func (l *loader) contradiction(one, other []string) {
	a, b := l.wayGiven(one), l.wayGiven(other)
	l.problem("", fmt.Sprintf("can't use both `%s` and `%s`: each says where to listen", a.label, b.label),
		"to listen on several addresses repeat `--bind`")
}

func (l *loader) drop(way []string, winner string) {
	for _, name := range way {
		if g := l.given[name]; g != nil {
			l.sources[name] = fmt.Sprintf("default: %s gives way to %s", g.source, winner)
			delete(l.given, name)
		}
	}
}
