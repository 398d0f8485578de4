package stream

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// windows are the sizes that a terminal has one after the other.
type windows chan remotecommand.TerminalSize

func (s windows) Next() *remotecommand.TerminalSize {
	size, more := <-s
	if !more {
		return nil
	}
	return &size
}

// TestConsole: what is typed and how large the window is goes to the stream that has the console, also
// when the one before still waits for it.
func TestConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyboard, keys := io.Pipe()
		window := make(windows, 1)
		user := NewConsole(remotecommand.StreamOptions{Stdin: keyboard, TerminalSizeQueue: window},
			func() { t.Error("interrupted") })
		begun := 0
		first, giveBack := user.Lend(func() { begun++ })

		window <- remotecommand.TerminalSize{Width: 80, Height: 24}
		if size := first.TerminalSizeQueue.Next(); *size != (remotecommand.TerminalSize{Width: 80,
			Height: 24}) {
			t.Errorf("the first stream's size is %v", *size)
		}
		read := func(stream remotecommand.StreamOptions) chan string {
			got := make(chan string, 1)
			go func() {
				buffer := make([]byte, 10)
				n, err := stream.Stdin.Read(buffer)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- string(buffer[:n])
			}()
			return got
		}
		got := read(first)
		if _, err := keys.Write([]byte("a")); err != nil || <-got != "a" || begun != 1 {
			t.Errorf("error %v, begun %d times", err, begun)
		}

		waits := read(first)
		noMore := make(chan *remotecommand.TerminalSize, 1)
		go func() { noMore <- first.TerminalSizeQueue.Next() }()
		synctest.Wait()
		giveBack()
		if end, size := <-waits, <-noMore; end != "EOF" || size != nil {
			t.Errorf("the first stream reads %q and size %v after its loan", end, size)
		}

		second, giveBack := user.Lend(func() { begun++ })
		defer giveBack()
		for _, want := range []remotecommand.TerminalSize{{Width: 81, Height: 25}, {Width: 80, Height: 24}} {
			if size := second.TerminalSizeQueue.Next(); *size != want {
				t.Errorf("the second stream's size is %v, want %v", *size, want)
			}
		}
		got = read(second)
		if _, err := keys.Write([]byte("more than it reads")); err != nil || <-got != "more than " ||
			<-read(second) != "it reads" {
			t.Errorf("error %v, or the second stream did not read it all", err)
		}
		if begun != 2 {
			t.Errorf("begun %d times, want 2", begun)
		}
		window <- remotecommand.TerminalSize{Width: 132, Height: 50}
		if size := second.TerminalSizeQueue.Next(); size.Width != 132 {
			t.Errorf("the second stream's size is %v", *size)
		}
		close(window)
		keys.Close()
		if end := <-read(second); end != "EOF" {
			t.Errorf("at the end it reads %q", end)
		}
	})
}

// TestConsoleInterrupt: while no stream takes the keys, Ctrl-C is the session's.
func TestConsoleInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyboard, keys := io.Pipe()
		interrupts := 0
		user := NewConsole(remotecommand.StreamOptions{Stdin: keyboard}, func() { interrupts++ })
		stream, giveBack := user.Lend(func() {})
		go func() { _, _ = io.Copy(io.Discard, stream.Stdin) }()
		synctest.Wait()
		_, _ = keys.Write([]byte("\x03"))
		synctest.Wait()
		if interrupts != 0 {
			t.Error("the stream's key interrupts the session")
		}
		giveBack()
		for _, key := range []string{"a", "b\x03"} {
			_, _ = keys.Write([]byte(key))
			synctest.Wait()
		}
		if interrupts != 1 {
			t.Errorf("%d interrupts, want 1", interrupts)
		}
		again, giveBack := user.Lend(func() {})
		defer giveBack()
		buffer := make([]byte, 9)
		if n, err := again.Stdin.Read(buffer); err != nil || string(buffer[:n]) != "a" {
			t.Errorf("of what was typed meanwhile there is %q, %v", buffer[:n], err)
		}
		keys.Close()
	})
}

// hanging is a cluster whose API server opens streams behind which nobody answers, or says only a word.
type hanging struct {
	Client
	says string
}

func (h hanging) Attach(ctx context.Context, _ Container, streams remotecommand.StreamOptions) error {
	go func() { _, _ = io.Copy(io.Discard, streams.Stdin) }()
	if h.says != "" {
		_, _ = io.WriteString(streams.Stdout, h.says)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestConsoleHangs: a stream that is had again, and behind which nobody answers, takes no Ctrl-C away.
func TestConsoleHangs(t *testing.T) {
	for _, says := range []string{"", "$ "} {
		synctest.Test(t, func(t *testing.T) {
			keyboard, keys := io.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			interrupted := errors.New("Ctrl-C")
			user := NewConsole(remotecommand.StreamOptions{Stdin: keyboard, Stdout: io.Discard},
				func() { cancel(interrupted) })
			first, giveBack := user.Lend(func() {})
			go func() { _, _ = io.Copy(io.Discard, first.Stdin) }()
			synctest.Wait()
			giveBack()
			time.AfterFunc(time.Second, func() { _, _ = keys.Write([]byte("\x03")) })
			time.AfterFunc(time.Minute, func() { cancel(errors.New("nobody has interrupted it")) })
			began := time.Now()
			err := user.Reattach(ctx, hanging{says: says}, Container{}, func() {})
			if hangs := says == ""; errors.Is(err, interrupted) != hangs ||
				hangs && time.Since(began) != time.Second+answerTime {
				t.Errorf("it says %q: %v after %s", says, err, time.Since(began))
			}
			keys.Close()
		})
	}
}
