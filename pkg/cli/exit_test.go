package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		told   string
	}{
		{"plain", errors.New("no luck"), 125, "error: no luck\n"},
		{"with a hint", hint.Wrap(fmt.Errorf("no luck"), "try again"), 125,
			"error: no luck\nhint: try again\n"},
		{"with a hint inside", fmt.Errorf("open: %w", hint.Wrap(fmt.Errorf("no luck"), "try again")), 125,
			"error: open: no luck\nhint: try again\n"},
		{"from the cluster", hint.Wrap(fmt.Errorf("\x1b[2Jno\r luck\u202e"), "\x1b]0;a\atry"), 125,
			"error: [2Jno luck\nhint: ]0;atry\n"},

		{"without an answer", fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://a", Err: io.EOF}),
			125, "error: list: Get \"https://a\": EOF\nhint: check whether the cluster answers: kubectl cluster-info\n"},
		{"without an answer, with a hint",
			hint.Wrap(fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://a", Err: io.EOF}),
				"try again"), 125, "error: list: Get \"https://a\": EOF\nhint: try again\n"},

		{"INT", Signal{syscall.SIGINT}, 130, "error: ended by a signal: interrupt\n"},
		{"TERM", Signal{syscall.SIGTERM}, 143, "error: ended by a signal: terminated\n"},
		{"HUP, wrapped", fmt.Errorf("wait: %w", Signal{syscall.SIGHUP}), 129,
			"error: wait: ended by a signal: hangup\n"},
		{"a signal beside an error", errors.Join(io.ErrUnexpectedEOF, Signal{syscall.SIGINT}), 130,
			"error: unexpected EOF\n  ended by a signal: interrupt\n"},

		{"the reader has gone", &stream.OutputError{Err: syscall.EPIPE}, 141, ""},
		{"the reader has gone, wrapped",
			fmt.Errorf("run: %w", &stream.OutputError{Err: fmt.Errorf("write |1: %w", syscall.EPIPE)}), 141,
			""},
		{"the disk is full", &stream.OutputError{Err: syscall.ENOSPC}, 125,
			"error: write the output: " + syscall.ENOSPC.Error() + "\n"},
		{"another pipe", fmt.Errorf("connect: %w", syscall.EPIPE), 125,
			"error: connect: " + syscall.EPIPE.Error() + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told strings.Builder
			status := report(&told, tt.err, "")
			if status != tt.status || told.String() != tt.told {
				t.Errorf("status %d, told %q; want %d, %q", status, told.String(), tt.status, tt.told)
			}
		})
	}
}

// TestIsGone: on Windows a reader that has gone has errors of its own, which mean something else elsewhere.
func TestIsGone(t *testing.T) {
	for _, tt := range []struct {
		err             error
		unix, onWindows bool
	}{
		{fmt.Errorf("write: %w", syscall.EPIPE), true, true},
		{fmt.Errorf("write: %w", syscall.Errno(109)), false, true},
		{syscall.Errno(232), false, true},
		{syscall.ENOSPC, false, false},
	} {
		if unix, windows := isGone(tt.err, "linux"), isGone(tt.err, "windows"); unix != tt.unix ||
			windows != tt.onWindows {
			t.Errorf("%v: %t, %t on Windows; want %t, %t", tt.err, unix, windows, tt.unix, tt.onWindows)
		}
	}
}

// TestInContext: a hint means the cluster that was named, whatever the context is called.
func TestInContext(t *testing.T) {
	const next = "list them: kubectl get pods -n shop; open one: kubectl eshell pod/NAME"
	for kubeContext, want := range map[string]string{
		"":     next,
		"prod": "list them: kubectl --context prod get pods -n shop; open one: kubectl eshell --context prod pod/NAME",
		"a b":  "list them: kubectl --context 'a b' get pods -n shop; open one: kubectl eshell --context 'a b' pod/NAME",
	} {
		if got := inContext(next, kubeContext); got != want {
			t.Errorf("%q: %s, want %s", kubeContext, got, want)
		}
	}
}
