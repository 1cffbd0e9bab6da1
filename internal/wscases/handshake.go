package wscases

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// handshake is what a case asks for, and what it expects.
type handshake struct {
	method  string
	fields  [][2]string // the case's own
	status  int         // 0: 101
	refused bool        // any status but that
	answer  [][2]string
	agreed  *string
}

// agreement is what an answer says about permessage-deflate.
type agreement struct {
	on                                 bool
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int
}

// request is the handshake as bytes.
func (h *handshake) request(host, path string) (raw []byte, key string) {
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	key = base64.StdEncoding.EncodeToString(random)
	fields := [][2]string{
		{"Host", host}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Key", key}, {"Sec-WebSocket-Version", "13"},
	}
	own := map[string]bool{}
	for _, f := range h.fields {
		own[strings.ToLower(f[0])] = true
	}
	fields = slices.DeleteFunc(fields, func(f [2]string) bool { return own[strings.ToLower(f[0])] })
	raw = fmt.Appendf(nil, "%s %s HTTP/1.1\r\n", h.method, path)
	for _, f := range append(fields, h.fields...) {
		if f[1] != "" {
			raw = fmt.Appendf(raw, "%s: %s\r\n", f[0], f[1])
		}
		if strings.EqualFold(f[0], "Sec-WebSocket-Key") {
			key = f[1]
		}
	}
	return append(raw, "\r\n"...), key
}

// shake does the handshake. go on: there is a WebSocket now.
func (h *handshake) shake(conn io.Writer, in *bufio.Reader, host, path string) (a agreement, open bool, err error) {
	raw, key := h.request(host, path)
	if _, err = conn.Write(raw); err != nil {
		return a, false, err
	}
	answer, err := http.ReadResponse(in, &http.Request{Method: h.method})
	if err != nil {
		return a, false, fmt.Errorf("no answer to the handshake: %w", err)
	}
	defer answer.Body.Close()
	want := h.status
	if want == 0 {
		want = http.StatusSwitchingProtocols
	}
	if (answer.StatusCode == want) == h.refused {
		return a, false, fmt.Errorf("the handshake is answered with %s", answer.Status)
	}
	for _, f := range h.answer {
		if got := answer.Header.Get(f[0]); !strings.EqualFold(got, f[1]) {
			return a, false, fmt.Errorf("the answer has %s: %q", f[0], got)
		}
	}
	if want != http.StatusSwitchingProtocols || h.refused {
		return a, false, nil
	}
	a, err = h.checkAnswer(answer.Header, key)
	return a, true, err
}

// checkAnswer is RFC 6455 §4.1, what a client does with a 101.
func (h *handshake) checkAnswer(fields http.Header, key string) (a agreement, err error) {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	extensions := fields.Values("Sec-Websocket-Extensions")
	offer := ""
	for _, f := range h.fields {
		if strings.EqualFold(f[0], "Sec-WebSocket-Extensions") {
			offer += f[1] + ","
		}
	}
	switch {
	case !strings.EqualFold(fields.Get("Upgrade"), "websocket"):
		return a, errors.New("the answer does not upgrade to websocket")
	case !strings.EqualFold(fields.Get("Connection"), "upgrade"):
		return a, errors.New("the answer has no Connection: upgrade")
	case fields.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return a, errors.New("Sec-WebSocket-Accept is wrong")
	case len(extensions) > 1:
		return a, errors.New("more than one Sec-WebSocket-Extensions")
	case h.agreed != nil && strings.Join(extensions, "") != *h.agreed:
		return a, fmt.Errorf("the answer has Sec-WebSocket-Extensions: %q", extensions)
	case len(extensions) == 0:
		return a, nil
	}
	return parseAgreement(extensions[0], offer)
}

// parseAgreement reads an answer and sets it against what was offered (RFC 7692 §7.1).
func parseAgreement(answer, offer string) (a agreement, err error) {
	a = agreement{on: true, serverBits: 15, clientBits: 15}
	parts := strings.Split(answer, ";")
	if strings.TrimSpace(parts[0]) != "permessage-deflate" || !strings.Contains(offer, "permessage-deflate") {
		return a, fmt.Errorf("the extension %q was not offered", answer)
	}
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		bits, _ := strconv.Atoi(value)
		switch {
		case name == "server_no_context_takeover" && value == "" && !a.serverNoTakeover:
			a.serverNoTakeover = true
		case name == "client_no_context_takeover" && value == "" && !a.clientNoTakeover:
			a.clientNoTakeover = true
		case name == "server_max_window_bits" && bits >= 8 && bits <= 15:
			a.serverBits = bits
		case name == "client_max_window_bits" && bits >= 8 && bits <= 15 && strings.Contains(offer, name):
			a.clientBits = bits
		default:
			return a, fmt.Errorf("the parameter %q can't be in the answer", p)
		}
	}
	return a, nil
}
