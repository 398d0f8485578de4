package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"syscall"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// failed is the exit status when eshell itself fails: the one that env, timeout, nohup and docker
// run use, outside of what commands return.
const failed = 125

// Signal is the cause of a context that was cancelled by a signal.
type Signal struct{ syscall.Signal }

// Error names the signal.
func (s Signal) Error() string { return "ended by a signal: " + s.Signal.String() }

// exitStatus is the one place where an error becomes a number.
func exitStatus(err error) int {
	var signal Signal
	var output *stream.OutputError
	switch {
	case errors.As(err, &signal):
		return 128 + int(signal.Signal)
	case errors.As(err, &output) && errors.Is(err, syscall.EPIPE):
		return 128 + int(syscall.SIGPIPE)
	}
	return failed
}

// report prints an error, its hint on a line of its own, and returns the exit status. A reader of
// the output that has gone, like head, is no error to tell.
func report(out io.Writer, err error) int {
	status := exitStatus(err)
	if status == 128+int(syscall.SIGPIPE) {
		return status
	}
	fmt.Fprintf(out, "error: %s\n", plain(err.Error()))
	if next := nextStep(err); next != "" {
		fmt.Fprintf(out, "hint: %s\n", plain(next))
	}
	return status
}

// nextStep is the error's hint. A request that got no answer has one whatever it was for.
func nextStep(err error) string {
	var unanswered *url.Error
	if next := hint.Of(err); next != "" || !errors.As(err, &unanswered) {
		return next
	}
	return "check whether the cluster answers: kubectl cluster-info"
}
