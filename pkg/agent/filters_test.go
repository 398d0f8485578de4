package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

// TestStatusFilter: the lines that tell the mark and the end are taken out, wherever they are and in whatever
// pieces, and nothing that only looks like them is lost.
func TestStatusFilter(t *testing.T) {
	const id = "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"
	const tag, mark = "\x1eeshell x7k2p ", "\x1e" + id + " "
	const said = tag + id + "\n"
	long := strings.Repeat("x", longestWord)
	tests := []struct {
		name, stream, want string
		status             int
	}{
		{"at the end", said + "err\n" + mark + "3\n", "err\n", 3},
		{"alone", said + mark + "0\n", "", 0},
		{"after the image's own words", "setlocale?\n" + said + mark + "3\n", "setlocale?\n", 3},
		{"amid a background process's words", said + "a" + mark + "7\nb\n", "ab\n", 7},
		{"another record", said + "a\x1eeshell\n" + mark + "7\n", "a\x1eeshell\n", 7},
		{"never", said + "a" + mark, "a" + mark, -1},
		{"the arguments of its parent", said + tag + id + "\n" + tag + "\n" + mark + "7\n", tag + id + "\n" + tag + "\n", 7},
		{"no status", said + mark + "\n" + mark + "1234\n" + mark + "-1\n" + mark + "7x\n" + mark + "7\n",
			mark + "\n" + mark + "1234\n" + mark + "-1\n" + mark + "7x\n", 7},
		{"no status, and long", said + mark + long + long + mark + "7\n", mark + long + long, 7},
		{"the last one counts", said + mark + "0\n" + mark + "7\n", "", 7},
		{"no mark", tag + "id\n" + said + mark + "7\n", tag + "id\n", 7},
		{"nothing is random", tag + "\n" + mark + "7\n", mark + "7\n", -1},
		{"nothing is random, and forged", tag + "\n\x1enever 0\n\x1e 0\n" + tag + "\n", "\x1enever 0\n\x1e 0\n" + tag + "\n", -1},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.stream); size++ {
			if got, status := filtered(t, tag, tt.stream, func() int { return size }); got != tt.want ||
				status != tt.status {
				t.Errorf("%s, in pieces of %d: showed %q, status %d; want %q, %d", tt.name, size, got, status,
					tt.want, tt.status)
			}
		}
	}
}

// filtered is what a statusFilter passes on of a stream that comes in pieces, and the status that it is told.
func filtered(t *testing.T, tag, stream string, size func() int) (passed string, status int) {
	t.Helper()
	var out bytes.Buffer
	status = -1
	f := &statusFilter{Writer: &out, tag: tag, began: func(string) {}, ended: func(n int) { status = n }}
	for rest := stream; rest != ""; {
		n := min(size(), len(rest))
		if _, err := io.WriteString(f, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		if most := len(tag) + 2*longestWord; len(f.held) > most {
			t.Fatalf("%d bytes are held back", len(f.held))
		}
	}
	if err := f.flush(len(f.held)); err != nil {
		t.Fatal(err)
	}
	return out.String(), status
}

// TestStatusFilterPassesAll: whatever a command says, that comes out, and its status is its own. It knows the
// tag, which is in its parent's arguments, and not the mark.
func TestStatusFilterPassesAll(t *testing.T) {
	const tag = "\x1eeshell x7k2p "
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{tag, "\x1e", "\n", "0", "7\n", tag + "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a\n",
		"\x1e0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a 0\n", "ended ", strings.Repeat("x", longestWord), "\xff\x00"}
	for range 2000 {
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", random.Uint32(), random.Uint64N(1<<48))
		var said strings.Builder
		for range random.IntN(30) {
			said.WriteString(pieces[random.IntN(len(pieces))])
		}
		want := random.IntN(256)
		stream := fmt.Sprintf("%s%s\n%s%s%d\n", tag, id, said.String(), endMark(id), want)
		got, status := filtered(t, tag, stream, func() int { return 1 + random.IntN(40) })
		if got != said.String() || status != want {
			t.Fatalf("of %q came %q, status %d, want %d", stream, got, status, want)
		}
	}
}

// TestGateReaderIsBounded: nothing of what comes before the mark is kept, and no false mark is waited for.
func TestGateReaderIsBounded(t *testing.T) {
	var out bytes.Buffer
	g := &gateReader{Writer: &out, mark: "eshell x7k2p", ready: func() {}, opened: func(string) {}}
	for range 1000 {
		if _, err := io.WriteString(g, "noise eshell x7k2p and much more that is no line of a gate's at all, "+
			"and no end"); err != nil {
			t.Fatal(err)
		}
		if len(g.head) > 200 {
			t.Fatalf("%d bytes are kept", len(g.head))
		}
	}
	if _, err := io.WriteString(g, "\neshell x7k2p 1 2\nall"); err != nil || out.String() != "all" {
		t.Errorf("showed %q, %v", out.String(), err)
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
		d := &draining{cut: cut}
		d.begin(drainLimit, arriveLimit)
		<-time.After(drainLimit - 1)
		d.begin(drainTime, drainLimit)
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
		d := &draining{cut: cut}
		d.begin(drainTime, drainLimit)
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
