package stream

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// FuzzScreen: all output is shown as it is, what is changed back does not depend on the pieces in which it
// came, and changing back is all that it does: a screen that sees that has nothing left to change.
func FuzzScreen(f *testing.F) {
	for _, output := range []string{"", "plain\r\n", "\x1b[?1049h\x1b[?1h\x1b=\x1b[?25l~", "\x1b[?1000;1006h", "\x1b[?7l",
		"\x1b[?1034h", "\x1b[4h\x1b[?1049x", "\x1b", "\x1b[?", "\x1b[?;;h", "\x1b[?25l\x1b[?25h", "\xff\x1b=\x1b>"} {
		f.Add([]byte(output), byte(0))
		f.Add([]byte(output), byte(4))
	}
	f.Fuzz(func(t *testing.T, output []byte, size byte) {
		if longerSequence(output) {
			t.Skip("no program sends sequences that long")
		}
		whole, pieces := ended(t, output, len(output)+1), ended(t, output, 1+int(size))
		if whole != pieces {
			t.Errorf("%q is changed back by %q, in pieces of %d by %q", output, whole, 1+int(size), pieces)
		}
		if again := ended(t, append(output, whole...), len(output)+len(whole)+1); again != "" && !endsWithin(output) {
			t.Errorf("%q is changed back by %q, and that by %q", output, whole, again)
		}
	})
}

// ended is how a terminal with that output is changed back.
func ended(t *testing.T, output []byte, size int) string {
	t.Helper()
	var shown bytes.Buffer
	s := newScreen(&shown)
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{bytes.NewReader(output)},
		make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(shown.Bytes(), output) {
		t.Errorf("%q is shown as %q", output, shown.Bytes())
	}
	return s.end()
}

// longerSequence reports whether there is a sequence that a screen does not see whole.
func longerSequence(output []byte) bool {
	for rest := range strings.SplitSeq(string(output), "\x1b") {
		digits := strings.TrimLeft(strings.TrimPrefix(rest, "[?"), "0123456789;")
		if strings.HasPrefix(rest, "[?") && len(rest)-len(digits) > longest-3 {
			return true
		}
	}
	return false
}

// endsWithin reports whether the output ends within what may be a sequence: what comes next belongs to it.
func endsWithin(output []byte) bool {
	last := output[max(0, bytes.LastIndexByte(output, '\x1b')):]
	return bytes.HasPrefix(last, []byte("\x1b")) &&
		len(bytes.TrimLeft(bytes.TrimPrefix(last[1:], []byte("[?")), "0123456789;[?")) == 0
}
