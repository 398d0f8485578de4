//go:build unix

package cli

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// TestIdle: a session is idle where somebody could type something, and nowhere else. The warning is
// only for a user who has typed --idle.
func TestIdle(t *testing.T) {
	keyboard, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	defer line.Close()
	const told = "warning: --idle has no effect: nobody can type anything for the command\n"
	typed := []string{"idle"}
	for _, tt := range []struct {
		name  string
		o     Options
		in    io.Reader
		reads bool
		want  time.Duration
		told  string
	}{
		{"on a terminal", Options{Idle: time.Hour}, line, true, time.Hour, ""},
		{"without stdin", Options{Idle: time.Hour}, line, false, 0, ""},
		{"without stdin, typed", Options{Idle: time.Hour, Typed: typed}, line, false, 0, told},
		{"with a pipe", Options{Idle: time.Hour}, strings.NewReader(""), true, 0, ""},
		{"with a pipe, typed", Options{Idle: time.Hour, Typed: typed}, strings.NewReader(""), true, 0, told},
		{"switched off", Options{Typed: typed}, strings.NewReader(""), true, 0, ""},
	} {
		var out strings.Builder
		got := tt.o.idle(tt.reads, genericiooptions.IOStreams{In: tt.in}, newPrinter(&out, false))
		if got != tt.want || out.String() != tt.told {
			t.Errorf("%s: %s, told %q; want %s, %q", tt.name, got, out.String(), tt.want, tt.told)
		}
	}
}
