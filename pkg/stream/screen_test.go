package stream

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// TestScreen: what a command left changed is changed back, once, in whatever pieces it came; what it has
// changed back itself, or what is none of ours, is left alone.
func TestScreen(t *testing.T) {
	tests := []struct{ name, output, restored string }{
		{"nothing", "plain\r\n", ""},
		{"an editor", "\x1b[?1049h\x1b[?1h\x1b=\x1b[?25l~", "\x1b[?1l\x1b[?1049l\x1b[?25h\x1b>"},
		{"an editor that has ended", "\x1b[?1049h\x1b[?1h\x1b=\x1b[?25l~\x1b[?25h\x1b[?1l\x1b>\x1b[?1049l$ ",
			""},
		{"several at once", "\x1b[?1000;1006h", "\x1b[?1000l\x1b[?1006l"},
		{"set twice", "\x1b[?2004h$ \x1b[?2004h$ ", "\x1b[?2004l"},
		{"wrapping", "\x1b[?7l", "\x1b[?7h"},
		{"a mode of which nobody knows what is usual", "\x1b[?1034h", ""},
		{"no private mode", "\x1b[4h\x1b[1049h\x1b[?1049x", ""},
		{"the last one counts", "\x1b[?25l" + strings.Repeat("x", longest) + "\x1b[?25h", ""},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 3, 4096} {
			var out bytes.Buffer
			s := newScreen(&out)
			// a reader whose WriterTo would write all at once is hidden from io.CopyBuffer
			if _, err := io.CopyBuffer(struct{ io.Writer }{s},
				struct{ io.Reader }{strings.NewReader(tt.output)}, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			s.restore()
			s.restore()
			want := tt.restored
			if tt.output != "" && !strings.HasSuffix(tt.output, "\n") {
				want += "\r\n"
			}
			if got := strings.TrimPrefix(out.String(), tt.output); got != want {
				t.Errorf("%s, %d bytes at a time: changed back by %q, want %q", tt.name, size, got, want)
			}
		}
	}
}

// stuck is a terminal that takes nothing any more.
type stuck struct{ until chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.until
	return len(p), nil
}

// TestScreenStuck: a terminal that takes nothing keeps nobody waiting, and nothing comes after the end.
func TestScreenStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := stuck{make(chan struct{})}
		s := newScreen(terminal)
		s.note("\x1b[?1049h")
		s.restore() // or the test never ends
		if n, err := io.WriteString(s, "more"); n != 4 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		close(terminal.until)
	})
}
