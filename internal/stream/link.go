package stream

import (
	"log/slog"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/proxyproto"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// Speaker is what speaks on a Link, which it embeds.
type Speaker interface {
	reactor.Protocol
	reactor.Resumer
	// Begin is called when the client's own bytes come next. unix is the path of the socket that it came by, if it did.
	Begin(unix string)
}

// Link is a connection with what comes before its protocol: a header of the PROXY protocol, then TLS.
type Link struct {
	reactor.Conn
	// Received is what has come and was not consumed yet.
	Received []byte
	door     *Door
	cfg      *Config
	speaker  Speaker
	proxied  bool // a PROXY protocol header is yet to come
	later    bool // Resume is due
}

// Arrive begins with an accepted socket. It reports false if that can't be had.
func (l *Link) Arrive(s *reactor.Connections, fd int, speaker Speaker, door *Door, cfg *Config, client exchange.Address) bool {
	l.door, l.cfg, l.speaker = door, cfg, speaker
	l.proxied = door.Proxies != nil && door.Proxies.Has(client)
	if !s.Entered(l.Open(s.Reactor(), fd, speaker, client, door.Server)) {
		return false
	}
	l.Halves()
	switch t := cfg.HeaderTimeout; {
	case !l.proxied:
		l.shake(door.UnixPath)
	case t > 0:
		l.SetTimer(t)
	}
	return true
}

// Proxied says whether the client's header of the PROXY protocol is yet to come: then all input is for ReadProxy.
func (l *Link) Proxied() bool { return l.proxied }

// ReadProxy goes on with that header. When it is there the connection's ends are what it says.
func (l *Link) ReadProxy() {
	for l.Readable() && !l.Closed() {
		buf := l.Receive(reactor.ReadSize)
		if len(buf) == 0 {
			if l.Finished() {
				l.Lose()
			}
			return
		}
		l.Received = append(l.Received, buf...)
		h, n, err := proxyproto.Parse(l.Received)
		if err != nil {
			l.Refuse(telemetry.Malformed, slog.String("reason", err.Error()))
			return
		}
		if n == 0 {
			continue
		}
		unix := l.door.UnixPath
		if !h.Local {
			l.Client, l.Server = h.Ends()
			unix = ""
		}
		l.Received, l.proxied = l.Received[n:], false
		l.StopTimer()
		l.shake(unix)
		return
	}
}

// shake has TLS come next where it is to come first.
func (l *Link) shake(unix string) {
	if !l.door.Secure {
		l.speaker.Begin(unix)
		return
	}
	l.StartTLS(func() { l.speaker.Begin(unix) })
}

// StartTLS puts TLS between the protocol and the client; done is called when the handshake is over. If it fails, the connection ends.
func (l *Link) StartTLS(done func()) {
	received := l.Received
	l.Received = nil
	l.Secure(l.door.TLS, received, l.cfg.HeaderTimeout, func(err error) {
		if err != nil {
			l.Note(telemetry.HandshakeFailed, slog.String("reason", err.Error()))
			return
		}
		done()
	})
}

// Request is what an application is asked, but for its id.
func (l *Link) Request(kind exchange.Kind, window int, unix string) exchange.Request {
	req := exchange.Request{
		Kind: kind, Target: l.door.Target, Window: window, ContentLength: exchange.UnknownLength,
		Client: l.Client, Server: l.Server, UnixPath: unix, TLS: l.Secured(),
	}
	if req.TLS != nil {
		req.Scheme = exchange.Secure
	}
	return req
}

// Note counts that the server ends the connection, and why.
func (l *Link) Note(kind telemetry.Refusal, why ...slog.Attr) {
	l.cfg.Refusals.Note(kind, l.Reactor().Now(), append(why, slog.String("client", string(l.Client.AppendTo(nil))))...)
}

// Refuse ends the connection for a reason that is counted, so that the client can't take it for a good end.
func (l *Link) Refuse(kind telemetry.Refusal, why ...slog.Attr) {
	l.Note(kind, why...)
	l.Reset()
}

// Later has the speaker resume in the next turn: the reactor's other connections come first.
func (l *Link) Later() {
	if !l.later {
		l.later = true
		l.Reactor().Later(l.speaker)
	}
}

// Resuming says that Resume was called.
func (l *Link) Resuming() { l.later = false }

// Put off says whether Resume is due.
func (l *Link) PutOff() bool { return l.later }
