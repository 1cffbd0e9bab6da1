package websocket

import "testing"

const both = "; server_no_context_takeover; client_no_context_takeover"

// spec: websocket 2
func TestOffersAreNegotiated(t *testing.T) {
	for _, c := range []struct{ offer, fresh, kept string }{
		{"permessage-deflate", both, ""},
		{"Permessage-Deflate", both, ""},
		{"permessage-deflate; server_no_context_takeover", both, "; server_no_context_takeover"},
		{"permessage-deflate; client_no_context_takeover", both, "; client_no_context_takeover"},
		{"permessage-deflate; client_max_window_bits", both, ""},
		{"permessage-deflate; client_max_window_bits=10", both + "; client_max_window_bits=10", "; client_max_window_bits=10"},
		{"permessage-deflate;server_max_window_bits=8", both + "; server_max_window_bits=8", "; server_max_window_bits=8"},
		{`permessage-deflate; server_max_window_bits="15"`, both + "; server_max_window_bits=15", "; server_max_window_bits=15"},
		{`permessage-deflate ; server_max_window_bits = "1\0"`, both + "; server_max_window_bits=10", "; server_max_window_bits=10"},
		{"permessage-deflate; x, permessage-deflate; server_max_window_bits=9, permessage-deflate", both + "; server_max_window_bits=9", "; server_max_window_bits=9"},
		{"x; y=1, ,, permessage-deflate", both, ""},
	} {
		for name, s := range map[string]struct {
			Settings
			want string
		}{"fresh": {Settings{Deflate: true}, c.fresh}, "kept": {Settings{Deflate: true, Takeover: true}, c.kept}} {
			g := negotiation{settings: s.Settings}
			ok := g.read([]byte(c.offer))
			if got := string(g.agreed.AppendValue(nil)); !ok || got != "permessage-deflate"+s.want {
				t.Errorf("%s, %q: %v, %q", name, c.offer, ok, got)
			}
		}
		g := negotiation{}
		if !g.read([]byte(c.offer)) || g.agreed.On || len(g.agreed.AppendValue(nil)) > 0 {
			t.Errorf("%q is accepted though it is off", c.offer)
		}
	}
}

// spec: websocket 2
func TestOffersThatCannotBeAcceptedAreDeclined(t *testing.T) {
	for _, offer := range []string{
		"", "x", "permessage-deflate2", "permessage-deflate; x", "permessage-deflate; x=1", "permessage-deflate; server_no_context_takeover=1",
		"permessage-deflate; client_no_context_takeover=", "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7",
		"permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=010", "permessage-deflate; client_max_window_bits=0",
		"permessage-deflate; client_max_window_bits; client_max_window_bits", "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
		"permessage-deflate; client_max_window_bits=9; client_max_window_bits", "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; client_no_context_takeover; client_no_context_takeover", "permessage-deflate; client_max_window_bits=1a",
	} {
		g := negotiation{settings: Settings{Deflate: true}}
		if g.read([]byte(offer)); g.agreed.On {
			t.Errorf("%q is accepted: %+v", offer, g.agreed)
		}
	}
}

func TestWhatBreaksTheGrammarIsRefused(t *testing.T) {
	for _, list := range []string{";", "a;", "a;;b", "a b", "a=b", "a;=b", "a;b=", "a;b=c d", `a;b="c`, `a;b=""`, `a;b="c d"`, `a;b="c"d`, `a;b="\`, "a/b", "(", `"a"`, "a;b=c=d", "permessage-deflate,a;"} {
		g := negotiation{settings: Settings{Deflate: true}}
		if g.read([]byte(list)) {
			t.Errorf("%q is read", list)
		}
	}
}
