package stream

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestEscapes: after Enter, and at the beginning, the escape character begins what is for eshell. Everything
// else arrives as it was typed.
func TestEscapes(t *testing.T) {
	for typed, want := range map[string]string{
		"":                   "",
		"ls\r":               "ls\r",
		"~.":                 "!",
		"ls\r~.":             "ls\r!",
		"ls ~.\r":            "ls ~.\r",
		"\r~~.":              "\r~.",
		"\r~x\r":             "\r~x\r",
		"~?ls\r":             "?ls\r",
		"\r~d":               "\r-",
		"ls ~d":              "ls ~d",
		"\r~?~.":             "\r?!",
		"~\r~.":              "~\r!",
		"cd ~\r":             "cd ~\r",
		"\x1b[200~.\x1b[201": "\x1b[200~.\x1b[201",
	} {
		for name, read := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r },
			"key by key": iotest.OneByteReader} {
			var e *escapes
			e = &escapes{Reader: read(strings.NewReader(typed)), char: '~',
				end:   func() { e.keys = append(e.keys, '!') },
				leave: func() { e.keys = append(e.keys, '-') },
				list:  func() { e.keys = append(e.keys, '?') }}
			got, err := io.ReadAll(e)
			if err != nil || string(got) != want {
				t.Errorf("%q, %s: %q, %v; want %q", typed, name, got, err, want)
			}
		}
	}
}
