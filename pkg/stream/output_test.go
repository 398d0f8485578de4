package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestBacklog: what the log has and the stream has not comes first, what both have comes once.
func TestBacklog(t *testing.T) {
	tests := []struct{ name, log, held, want string }{
		{"nothing was held", "early\n", "", "early\n+later"},
		{"nothing was missed", "", "live\n", "live\n+later"},
		{"the log has both", "early\nlive\n", "live\n", "early\nlive\n+later"},
		{"the log lags", "early\nli", "live\n", "early\nlive\n+later"},
		{"they share nothing", "early\n", "live\n", "early\nlive\n+later"},
		{"the log has other line ends", "early\nlive\n", "live\r\n", "early\nlive\r\n+later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			late := newBacklog(&out, false, func() []byte { return []byte(tt.log) })
			w := late.writer(&out)
			for _, piece := range strings.SplitAfter(tt.held, "v") {
				if _, err := io.WriteString(w, piece); err != nil {
					t.Fatal(err)
				}
			}
			late.CatchUp()
			if _, err := io.WriteString(w, "+later"); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("showed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// TestBacklogCatchesUp: what a command said between the log's reading and the runtime's attaching comes
// before what came through the stream, and what the log has beyond that comes through it.
func TestBacklogCatchesUp(t *testing.T) {
	for _, ahead := range []string{"early\nmeanwhile\nlive\n", "early\nmeanwhile\nli", "early\nmeanwhile\n",
		"early\nmeanwhile\nlive\nlater\n"} {
		var out bytes.Buffer
		log := "early\n"
		late := newBacklog(&out, false, func() []byte { return []byte(log) })
		late.CatchUp()
		log = ahead
		for _, piece := range []string{"", "live\n", "later\n"} {
			if _, err := io.WriteString(late.writer(&out), piece); err != nil {
				t.Fatal(err)
			}
		}
		if want := "early\nmeanwhile\nlive\nlater\n"; out.String() != want {
			t.Errorf("with the log at %q: showed %q, want %q", ahead, out.String(), want)
		}
	}
}

// TestBacklogThatIsLate: a log may have a command's output only some time after the command has ended.
func TestBacklogThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ late, takes time.Duration }{
			{0, 0}, {logTime / 2, logTime}, {2 * logTime, logTime},
		} {
			var out bytes.Buffer
			began := time.Now()
			b := newBacklog(&out, false, func() []byte {
				if time.Since(began) < tt.late {
					return nil
				}
				return []byte("all\n")
			})
			b.Finish(t.Context())
			if took := time.Since(began); took != tt.takes || (out.String() == "all\n") != (tt.late < logTime) {
				t.Errorf("a log that is %s late: showed %q after %s", tt.late, out.String(), took)
			}
		}
	})
}

// TestBacklogThatIsOver: a stream that has ended takes no input, and nobody waits for it.
func TestBacklogThatIsOver(t *testing.T) {
	late := newBacklog(io.Discard, false, func() []byte { return nil })
	close(late.over)
	input := strings.NewReader("for another")
	n, err := backlogReader{late, input, func() {}}.Read(make([]byte, 9))
	if n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if input.Len() != len("for another") {
		t.Error("it has taken input")
	}
}

// TestBacklogIsBounded: a command that prints much while its log is read waits, and loses nothing.
func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		late := newBacklog(&out, false, func() []byte { return nil })
		piece := bytes.Repeat([]byte("x"), 1<<20)
		go func() {
			for range 20 {
				if _, err := late.writer(&out).Write(piece); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		if late.size > mostHeld+len(piece) {
			t.Errorf("%d bytes are held", late.size)
		}
		late.CatchUp()
		synctest.Wait()
		if out.Len() != 20*len(piece) {
			t.Errorf("%d bytes came of %d", out.Len(), 20*len(piece))
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatFailsEndsTheSession(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	if _, err := newOutput(ctx, broken{}, stop).Write([]byte("x")); err == nil {
		t.Fatal("no error")
	}
	var failure *OutputError
	if cause := context.Cause(ctx); !errors.As(cause, &failure) || !errors.Is(cause, syscall.ENOSPC) {
		t.Errorf("the cause is %v", cause)
	}
}

// TestOutputThatNobodyReads is waited for until the session ends, and no longer.
func TestOutputThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, full := io.Pipe()
		ctx, stop := context.WithCancelCause(t.Context())
		cause := errors.New("a signal")
		time.AfterFunc(time.Hour, func() { stop(cause) })
		began := time.Now()
		_, err := newOutput(ctx, full, stop).Write([]byte("x"))
		if waited := time.Since(began); !errors.Is(err, cause) || waited != time.Hour {
			t.Errorf("error %v after %s", err, waited)
		}
		if _, err := io.CopyN(io.Discard, reader, 1); err != nil {
			t.Error(err)
		}
	})
}

// TestBegin: one pass finds what trying every place finds.
func TestBegin(t *testing.T) {
	everyPlace := func(log, stream []byte) int {
		for n := range log {
			if len(stream) > 0 && (bytes.HasPrefix(stream, log[n:]) || bytes.HasPrefix(log[n:], stream)) {
				return n
			}
		}
		return len(log)
	}
	random := rand.New(rand.NewPCG(1, 2))
	letters := func() []byte {
		text := make([]byte, random.IntN(12))
		for i := range text {
			text[i] = "ab"[random.IntN(2)]
		}
		return text
	}
	for range 100_000 {
		log, stream := letters(), letters()
		if got, want := begin(log, stream), everyPlace(log, stream); got != want {
			t.Fatalf("begin(%q, %q) = %d, want %d", log, stream, got, want)
		}
	}
	alike := bytes.Repeat([]byte("a"), 10<<20)
	if got := begin(append(alike, 'b'), append(alike, 'c')); got != len(alike)+1 {
		t.Errorf("in what looks alike everywhere: %d", got)
	}
}
