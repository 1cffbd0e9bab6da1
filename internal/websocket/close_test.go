package websocket

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/awaitd/awaitd/internal/exchange"
)

func TestWhatACloseFrameSaysIsValid(t *testing.T) {
	for _, c := range []struct {
		code         exchange.CloseCode
		reason, want string
	}{
		{1000, "", "\x88\x02\x03\xe8"},
		{1000, "bye", "\x88\x05\x03\xe8bye"},
		{exchange.CloseNoCode, "bye", "\x88\x00"},
		{exchange.CloseAbnormal, "", "\x88\x00"},
		{1015, "", "\x88\x00"},
		{0, "", "\x88\x00"},
		{4999, "a\xff", "\x88\x03\x13\x87a"},
		{1000, strings.Repeat("é", 62), "\x88\x7c\x03\xe8" + strings.Repeat("é", 61)},
		{1000, strings.Repeat("a", 123), "\x88\x7d\x03\xe8" + strings.Repeat("a", 123)},
	} {
		if got := string(AppendClose([]byte("x"), c.code, []byte(c.reason))); got != "x"+c.want {
			t.Errorf("%d %q: %q", c.code, c.reason, got)
		}
	}
	for code := range exchange.CloseCode(5100) {
		if b := AppendClose(nil, code, nil); len(b) == 4 != ValidCode(code) {
			t.Errorf("%d: %q", code, b)
		}
	}
}

func TestTheEnginesOwnReasonsFit(t *testing.T) {
	for _, v := range []*Violation{
		ErrReserved, ErrOpcode, ErrUnmasked, ErrControlFragmented, ErrControlTooLong, ErrLength, ErrLengthNotMinimal, ErrContinuation,
		ErrInterleaved, ErrCloseLength, ErrCloseCode, ErrText, ErrCloseReason, ErrDeflate, ErrTooLarge,
	} {
		if len(v.Reason) > maxReason || !ValidCode(v.Code) || !utf8.ValidString(v.Reason) {
			t.Errorf("%d %q", v.Code, v.Reason)
		}
	}
}
