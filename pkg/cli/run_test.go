package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// Without a terminal there is none to give; only who asks for one is told. What a real terminal
// gets is tested end to end, on a real one.
func TestUseTTYWithoutATerminal(t *testing.T) {
	const warning = "warning: stdin is not a terminal: the command runs without one\n"
	on, off := true, false
	tests := []struct {
		name string
		o    Options
		told string
	}{
		{"by default", Options{Stdin: true}, ""},
		{"asked for", Options{Stdin: true, TTY: &on}, warning},
		{"asked for, quietly", Options{Stdin: true, TTY: &on, Quiet: true}, warning},
		{"asked for without stdin", Options{TTY: &on}, "warning: a terminal needs stdin, and --stdin is false: the command runs without one\n"},
		{"refused", Options{Stdin: true, TTY: &off}, ""},
	}
	for _, tt := range tests {
		var told strings.Builder
		streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: &told}
		if useTTY(tt.o, streams, newPrinter(&told, tt.o.Quiet)) || told.String() != tt.told {
			t.Errorf("%s: a terminal, or told %q; want none and %q", tt.name, told.String(), tt.told)
		}
	}
}

func TestStdin(t *testing.T) {
	in := strings.NewReader("")
	if got := stdin(Options{Stdin: true}, in); got != in {
		t.Errorf("with -i: %v, want the stream", got)
	}
	if got := stdin(Options{}, in); got != nil {
		t.Errorf("with -i=false: %v, want nil: not a stream that is empty", got)
	}
}

// A shell cannot be had where the image has none, and exec is not replaced when it was asked for.
func TestWithoutShellThereIsNoOtherWay(t *testing.T) {
	tests := map[string]plan.Options{
		"no command":           {},
		"exec was asked for":   {Command: []string{"id"}, Via: plan.ViaExec},
		"attach for a shell":   {Via: plan.ViaAttach},
		"exec for a shell too": {Via: plan.ViaExec},
	}
	noShell := fmt.Errorf("container app: %w", session.ErrNoShell)
	for name, asked := range tests {
		var told strings.Builder
		r := &runner{options: Options{Plan: asked}, out: newPrinter(&told, false)}
		status, err := r.startWithoutShell(t.Context(), noShell)
		if err == nil || err.Error() != noShell.Error() || hint.Of(err) == "" || status != 0 || told.String() != "" {
			t.Errorf("%s: status %d, error %v, hint %q, told %q; want the error and a hint", name, status, err, hint.Of(err), told.String())
		}
	}
}
