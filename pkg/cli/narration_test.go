package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
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

// TestLogsToNobody: what the libraries log with -v delays no request either, and each line is logged once.
func TestLogsToNobody(t *testing.T) {
	t.Cleanup(func() { setLogs(0, io.Discard) })
	var told strings.Builder
	setLogs(6, &told)
	klog.V(6).Info("a request")
	klog.V(7).Info("its headers")
	klog.Error("no luck")
	klog.Flush()
	for line, want := range map[string]int{"a request": 1, "its headers": 0, "no luck": 1} {
		if got := strings.Count(told.String(), line); got != want {
			t.Errorf("%q is logged %d times, want %d", line, got, want)
		}
	}
	unread, full := io.Pipe()
	t.Cleanup(func() { unread.Close() })
	setLogs(6, narrate(full))
	began := time.Now()
	for range 100 {
		klog.V(6).Info("a request")
	}
	if took := time.Since(began); took > 10*tellTime {
		t.Errorf("100 lines that nobody reads took %s", took)
	}
}
