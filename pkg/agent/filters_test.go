package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestGateReader: whatever comes before the mark's line, in whatever pieces, only the rest is shown.
func TestGateReader(t *testing.T) {
	for _, stream := range []string{
		"eshell x7k2p ready\neshell x7k2p 17\nall\nof it",
		"\r\neshell x7k2p ready\r\n\r\neshell x7k2p ready\r\ngo\r\neshell x7k2p 17\r\nall\nof it",
		"noise\neshell x7k2p ready\neshell x7k2p 17\nall\nof it",
	} {
		for size := 1; size <= len(stream); size++ {
			var out bytes.Buffer
			pid, ready := "", false
			g := &gateReader{Writer: &out, mark: "eshell x7k2p", ready: func() { ready = true },
				opened: func(rest string) { pid += rest }}
			for rest := stream; rest != ""; rest = rest[min(size, len(rest)):] {
				piece := rest[:min(size, len(rest))]
				if n, err := g.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if out.String() != "all\nof it" || pid != "17" || !ready {
				t.Errorf("in pieces of %d: showed %q, pid %q", size, out.String(), pid)
			}
		}
	}
}

// TestStatusFilter: the line that tells the end is taken out, wherever it is and in whatever pieces, and
// nothing that only looks like its beginning is lost.
func TestStatusFilter(t *testing.T) {
	const mark = "\x1eeshell x7k2p ended "
	tests := []struct {
		name, stream, want string
		status             int
	}{
		{"at the end", "err\n" + mark + "3\n", "err\n", 3},
		{"alone", mark + "0\n", "", 0},
		{"amid a background process's words", "a" + mark + "7\nb\n", "ab\n", 7},
		{"another record", "a\x1eeshell\n" + mark + "7\n", "a\x1eeshell\n", 7},
		{"never", "a\x1eeshell x7k2p", "a\x1eeshell x7k2p", -1},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.stream); size++ {
			var out bytes.Buffer
			status := -1
			e := &statusFilter{Writer: &out, mark: mark, ended: func(n int) { status = n }}
			for rest := tt.stream; rest != ""; rest = rest[min(size, len(rest)):] {
				if _, err := io.WriteString(e, rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.flush(len(e.held)); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want || status != tt.status {
				t.Errorf("%s, in pieces of %d: showed %q, status %d; want %q, %d", tt.name, size,
					out.String(), status, tt.want, tt.status)
			}
		}
	}
}

// slow takes its time for each write.
type slow struct{ bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	<-time.After(2 * drainTime)
	return s.Buffer.Write(p)
}

// TestDraining: the stream of a command that has ended is cut when nothing has come for a while, and not
// while its reader takes what has.
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, cut := context.WithCancel(t.Context())
		out := &slow{}
		d := &draining{cut: cut, left: drainLimit}
		d.begin()
		for range 3 {
			if _, err := io.WriteString(d.writer(out), "more"); err != nil || stream.Err() != nil {
				t.Errorf("error %v, stream %v while it was read", err, stream.Err())
			}
		}
		<-time.After(drainTime - 1)
		synctest.Wait()
		if stream.Err() != nil {
			t.Error("it was cut too soon")
		}
		<-time.After(time.Nanosecond)
		synctest.Wait()
		if stream.Err() == nil || out.String() != "moremoremore" {
			t.Errorf("stream %v, after %q", stream.Err(), out)
		}
	})
}

// TestDrainingEnds: what a command left in the background does not keep its stream open for ever.
func TestDrainingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, cut := context.WithCancel(t.Context())
		d := &draining{cut: cut, left: drainLimit}
		d.begin()
		start := time.Now()
		for stream.Err() == nil && time.Since(start) < time.Hour {
			_, _ = io.WriteString(d.writer(io.Discard), "still here\n")
			<-time.After(drainTime / 2)
		}
		if took := time.Since(start); took > drainLimit+drainTime {
			t.Errorf("it was cut after %s", took)
		}
	})
}

// TestInput ends while a read of the real one waits for ever.
func TestInput(t *testing.T) {
	never, _ := io.Pipe()
	in, end := newInput(io.MultiReader(strings.NewReader("typed"), never))
	buffer := make([]byte, 16)
	if n, err := in.Read(buffer); string(buffer[:n]) != "typed" || err != nil {
		t.Fatalf("read %q, %v", buffer[:n], err)
	}
	end()
	if n, err := in.Read(buffer); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %v", buffer[:n], err)
	}
}
