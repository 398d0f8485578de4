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
			e = &escapes{sieve: sieve{Reader: read(strings.NewReader(typed))}, char: '~',
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

// TestDetachKeys: the sequence leaves the session, and is typed for nobody. All other keys arrive in order,
// among them those with which it begins.
func TestDetachKeys(t *testing.T) {
	const p, q = "\x10", "\x11" // ctrl-p, ctrl-q
	for _, tt := range []struct{ sequence, typed, want string }{
		{p + q, "", ""},
		{p + q, "ls\r", "ls\r"},
		{p + q, p + q, "-"},
		{p + q, "ls" + p + q + "\r", "ls-\r"},
		{p + q, p + "x", p + "x"},
		{p + q, q + p, q + p},
		{p + q, p, p},                     // at the end of the input
		{p + q, p + p + q, p + "-"},       // back in the history, and out
		{p + q, p + p + "x", p + p + "x"}, // back in the history, twice
		{p + q, p + q + p + q, "--"},      // it was not possible the first time
		{"aab", "aaab", "a-"},             // it begins within another beginning of it
		{"abac", "ababac", "ab-"},         // the same
		{"abac", "abab", "abab"},          // a beginning at the end of the input
		{"x", "ax", "a-"},                 // one key
		{p + q, "\x1b[A" + p + "\x1b[B", "\x1b[A" + p + "\x1b[B"}, // keys of several bytes
	} {
		for name, read := range map[string]func(io.Reader) io.Reader{
			"at once":    func(r io.Reader) io.Reader { return r },
			"key by key": iotest.OneByteReader, "with the end": iotest.DataErrReader} {
			var d *detaching
			d = &detaching{sieve: sieve{Reader: read(strings.NewReader(tt.typed))},
				sequence: []byte(tt.sequence), leave: func() { d.keys = append(d.keys, '-') }}
			got, err := io.ReadAll(iotest.OneByteReader(d))
			if err != nil || string(got) != tt.want {
				t.Errorf("%q, typed %q, %s: %q, %v; want %q", tt.sequence, tt.typed, name, got, err, tt.want)
			}
		}
	}
}

// TestDetachKeysHoldLittle: a key that may begin the sequence is held until the next key, and no key is held
// for longer.
func TestDetachKeysHoldLittle(t *testing.T) {
	typed, keys := io.Pipe()
	defer keys.Close()
	d := &detaching{sieve: sieve{Reader: typed}, sequence: []byte("\x10\x11"), leave: func() { t.Error("left") }}
	go func() {
		for _, key := range []string{"a", "\x10", "b"} {
			_, _ = io.WriteString(keys, key)
		}
	}()
	buffer := make([]byte, 10)
	for _, want := range []string{"a", "\x10b"} {
		if n, err := d.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Errorf("read %q, %v; want %q", buffer[:n], err, want)
		}
	}
}
