//go:build unix

package stream

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
)

// typing is a terminal with somebody at it.
type typing struct {
	t          *testing.T
	keys, line *os.File
}

func newTyping(t *testing.T) typing {
	t.Helper()
	keys, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		keys.Close()
		line.Close()
	})
	return typing{t, keys, line}
}

func (y typing) types(text string) {
	y.t.Helper()
	if _, err := y.keys.WriteString(text); err != nil {
		y.t.Fatal(err)
	}
}

func (y typing) isRaw() bool {
	y.t.Helper()
	cmd := exec.Command("stty", "-a")
	cmd.Stdin = y.line
	settings, err := cmd.Output()
	if err != nil {
		y.t.Fatal(err)
	}
	return strings.Contains(string(settings), "-icanon")
}

// TestKeyboard: a terminal is raw from the first read of its input on, which is when a stream is open, and
// until the end. A read that comes later takes nothing and changes nothing.
func TestKeyboard(t *testing.T) {
	y := newTyping(t)
	var raw []bool
	user := User{In: y.line, Out: io.Discard, TTY: true, Raw: func(is bool) { raw = append(raw, is) },
		Interrupt: func() { t.Error("nobody has typed Ctrl-C") }}
	k := &keyboard{User: user, typed: user.In, stop: func(err error) { t.Error(err) }}
	if y.isRaw() {
		t.Error("it is raw before it is read")
	}
	y.types("x\n")
	buffer := make([]byte, 10)
	if n, err := k.Read(buffer); err != nil || string(buffer[:n]) == "" {
		t.Errorf("read %q, %v", buffer[:n], err)
	}
	if !y.isRaw() {
		t.Error("it is not raw while it is read")
	}
	k.release()
	if y.isRaw() || len(raw) != 2 || !raw[0] || raw[1] {
		t.Errorf("at the end it is raw: %t, told %v", y.isRaw(), raw)
	}
	if n, err := k.Read(buffer); n != 0 || !errors.Is(err, io.EOF) || y.isRaw() {
		t.Errorf("after the end came %d bytes, %v; raw %t", n, err, y.isRaw())
	}
}

// TestOutputTakesTheTerminal: what comes before the input is read finds a raw terminal, too.
func TestOutputTakesTheTerminal(t *testing.T) {
	y := newTyping(t)
	user := User{In: y.line, TTY: true, Raw: func(bool) {}}
	k := &keyboard{User: user, stop: func(err error) { t.Error(err) }}
	wasRaw := false
	if _, err := (answer{writer(func([]byte) { wasRaw = y.isRaw() }), k}).Write([]byte("x")); err != nil || !wasRaw {
		t.Errorf("error %v; the terminal was raw: %t", err, wasRaw)
	}
	k.release()
	if y.isRaw() {
		t.Error("it is raw at the end")
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// TestUnansweredCtrlC: a command that has shown nothing, answers no Ctrl-C and is not known to run is
// interrupted. Any other is not.
func TestUnansweredCtrlC(t *testing.T) {
	for _, how := range []string{"it answers nothing", "it answers", "it is known to run"} {
		y := newTyping(t)
		var interrupted atomic.Bool
		user := User{In: y.line, Raw: func(bool) {}, Begun: func() bool { return how == "it is known to run" },
			Interrupt: func() { interrupted.Store(true) }}
		k := &keyboard{User: user, typed: user.In, stop: func(err error) { t.Error(err) }}
		y.types("x\n") // to be read at once, before the terminal is raw
		buffer := make([]byte, 10)
		if _, err := k.Read(buffer); err != nil {
			t.Fatal(err)
		}
		y.types("\x03")
		if n, err := k.Read(buffer); err != nil || string(buffer[:n]) != "\x03" {
			t.Fatalf("read %q, %v", buffer[:n], err)
		}
		if how == "it answers" {
			if _, err := (answer{io.Discard, k}).Write([]byte("^C")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*answerTime)
		for !interrupted.Load() && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
		cancel()
		if interrupted.Load() != (how == "it answers nothing") {
			t.Errorf("%s: it is interrupted: %t", how, interrupted.Load())
		}
		k.release()
	}
}
