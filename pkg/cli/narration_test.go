package cli

import (
	"bufio"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestNarrationToNobody: who does not read delays the first line a little and no other, and finds all lines
// in their order later.
func TestNarrationToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unread, full := io.Pipe()
		n := narrate(full)
		if narrate(n) != n {
			t.Error("a narration's narration is another")
		}
		began := time.Now()
		for i := range 100 {
			fmt.Fprintln(n, i)
		}
		if waited := time.Since(began); waited != tellTime {
			t.Errorf("100 lines took %s", waited)
		}
		if n.wait(time.Second) {
			t.Error("all is told to nobody")
		}
		lines := bufio.NewReader(unread)
		for i := range 100 {
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintln(i); line != want || err != nil {
				t.Fatalf("line %q, %v; want %q", line, err, want)
			}
		}
		if !n.wait(time.Second) {
			t.Error("not all is told")
		}
		began = time.Now()
		go fmt.Fprintln(n, "again")
		if line, err := lines.ReadString('\n'); line != "again\n" || err != nil || time.Since(began) > 0 {
			t.Errorf("then: %q, %v after %s", line, err, time.Since(began))
		}
	})
}

// TestNarrationIsBounded: what nobody reads does not grow without end.
func TestNarrationIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unread, full := io.Pipe()
		n := narrate(full)
		for range 40 {
			_, _ = n.Write(make([]byte, mostUntold/10))
		}
		go func() {
			n.wait(time.Minute)
			full.Close()
		}()
		told, err := io.Copy(io.Discard, unread)
		if most := int64(mostUntold + 2*mostUntold/10); err != nil || told > most || told < mostUntold {
			t.Errorf("told %d bytes, %v; want at most %d", told, err, most)
		}
	})
}
