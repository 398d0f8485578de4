package session

import (
	"context"
	"errors"
	"io"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// endProcess ends the process of an ephemeral container: the container itself can be neither
// stopped nor removed through the API. The session has ended only when its process has, so it waits
// for that, and says so where it cannot be sure.
func (s *session) endProcess(ctx context.Context) {
	var err error
	switch {
	case s.ended:
	case !s.started:
		s.Teller.Warn("%s cannot be taken back: should it still start, it ends by itself within %s", s.where(), plan.Silence.Round(time.Minute))
		return
	case s.holder != nil:
		err = s.holder.end(ctx)
	case s.process.Load() != nil:
		err = s.kill(ctx, *s.process.Load())
	default:
		s.Teller.Warn("%s may still run its command: it could not be ended from here", s.where())
		return
	}
	if err != nil {
		s.Teller.Warn("%s may still run: %v", s.where(), err)
		return
	}
	s.Teller.Say("%s has ended", s.where())
}

// kill ends the process of a container that was attached to: a terminal's end does not reach it
// (containerd closes stdin only without a TTY). Its children end with the container, and so does
// the shell that kills it.
func (s *session) kill(ctx context.Context, pid string) error {
	command := []string{"sh", "-c", `kill -KILL "$1"`, "eshell", pid}
	err := s.Streamer.Exec(ctx, s.container(), command, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
	var exit exec.CodeExitError
	if errors.As(err, &exit) && exit.Code == killed {
		return nil
	}
	return err
}
