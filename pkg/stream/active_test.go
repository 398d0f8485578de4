//go:build unix

package stream

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/tools/remotecommand"
)

// TestActive: each key and each piece of output is reported, on a terminal and without one. A key for eshell
// itself is a key. Output of nothing is no output.
func TestActive(t *testing.T) {
	y := newTyping(t)
	for _, tty := range []bool{true, false} {
		var times atomic.Int32
		user := User{In: y.line, Out: io.Discard, Err: io.Discard, TTY: tty, Raw: func(bool) {},
			Begun: func() bool { return true }, Active: func() { times.Add(1) }, Escape: '~',
			ListEscapes: func() { y.types("b") }, DetachKeys: []byte{16, 17}}
		expect := func(what string, want int32) {
			t.Helper()
			if got := times.Swap(0); got != want {
				t.Errorf("terminal: %t, %s: reported %d times, want %d", tty, what, got, want)
			}
		}
		err := user.Connect(t.Context(), func(err error) { t.Error(err) },
			func(streams remotecommand.StreamOptions) error {
				expect("nothing", 0)
				_, _ = io.WriteString(streams.Stdout, "out")
				expect("output", 1)
				if !tty {
					_, _ = io.WriteString(streams.Stderr, "err")
					expect("errors", 1)
				}
				_, _ = streams.Stdout.Write(nil)
				expect("no output", 0)
				y.types("a\n")
				buffer := make([]byte, 10)
				if n, err := streams.Stdin.Read(buffer); err != nil || !strings.HasPrefix(string(buffer[:n]), "a") {
					t.Errorf("read %q, %v", buffer[:n], err)
				}
				expect("a key", 1)
				if tty {
					y.types("\r~?") // asks for "b"
					for read := ""; !strings.HasSuffix(read, "b"); {
						n, err := streams.Stdin.Read(buffer)
						if err != nil {
							t.Fatal(err)
						}
						read += string(buffer[:n])
					}
					expect("keys for eshell, and another", 2)
				}
				return nil
			})
		if err != nil {
			t.Error(err)
		}
	}
	user := User{Out: io.Discard, Err: io.Discard, Active: func() {}}
	err := user.Connect(t.Context(), func(error) {}, func(streams remotecommand.StreamOptions) error {
		if streams.Stdin != nil {
			t.Error("a command without stdin has one")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
