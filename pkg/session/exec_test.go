package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// endless is a Streamer whose command tells its end and whose stream never ends by itself.
type endless struct{ Streamer }

func (endless) Exec(ctx context.Context, _ Container, _ []string, streams remotecommand.StreamOptions) error {
	fmt.Fprint(streams.Stderr, "mark 3\n")
	<-ctx.Done()
	return ctx.Err()
}

// TestLostEnd: the status is the one that was told, and the session ends.
func TestLostEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		s := &session{Config: Config{Streamer: endless{}, Stdout: io.Discard, Stderr: io.Discard}, plan: &plan.Plan{End: "mark "}}
		told, _ := s.exec(ctx, stop)
		if told == nil || *told != 3 || ctx.Err() != nil {
			t.Errorf("told %v, session %v; want 3, alive", told, ctx.Err())
		}
	})
}

// closed is a Streamer whose streams are closed as if all were well.
type closed struct{ Streamer }

func (closed) Exec(context.Context, Container, []string, remotecommand.StreamOptions) error {
	return nil
}

func (closed) Attach(context.Context, Container, remotecommand.StreamOptions) error { return nil }

// TestUntold: a stream that was closed without the command's end is no success.
func TestUntold(t *testing.T) {
	for _, p := range []*plan.Plan{{End: "mark "}, {TTY: true}} {
		synctest.Test(t, func(t *testing.T) {
			p.PodName, p.Silence = "api", time.Minute
			s := &session{Config: Config{Streamer: closed{}, Teller: &story{}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, plan: p}
			const lost = "the connection to pod/api was lost: the stream ended, and the command's end was not told"
			if status, err := s.runByExec(t.Context(), nil); status != 0 || errorText(err) != lost {
				t.Errorf("terminal %t: status %d, error %v", p.TTY, status, err)
			}
		})
	}
}

// refusing is a Streamer whose container is not there any more.
type refusing struct{ Streamer }

func (refusing) Exec(context.Context, Container, []string, remotecommand.StreamOptions) error {
	return errors.New("no running task found")
}

func (refusing) Attach(context.Context, Container, remotecommand.StreamOptions) error {
	return errors.New("no running task found")
}

// TestRefused: a command that was not run says why its pod has ended, if it has, and else the server's word.
func TestRefused(t *testing.T) {
	for what, want := range map[error]string{
		errDeleted: "pod/api ended under the session: it was deleted by somebody else",
		nil:        "the connection to pod/api was lost: no running task found",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &session{Config: Config{Streamer: refusing{}, Teller: &story{}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, plan: &plan.Plan{PodName: "api", Silence: time.Minute}}
			watch := &podWatch{pod: &corev1.Pod{}, news: make(chan sighting, 1)}
			if what != nil {
				watch.tell(sighting{err: what})
			}
			if status, err := s.runByExec(t.Context(), watch); status != 0 || errorText(err) != want {
				t.Errorf("status %d, error %v, want %q", status, err, want)
			}
		})
	}
}

// TestOnlooker: a joined shell ends with its session's lease, and by no clock of its own.
func TestOnlooker(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error
		lost   bool
	}{"alive": {nil, false}, "no answer": {errors.New("connection refused"), false}, "ended": {lease.ErrLost, true}} {
		l := newLease(func(l *aLease) {
			l.ttl = -time.Hour
			l.answer = func(context.Context, time.Duration) error { return tt.answer }
		})
		s := &session{Config: Config{Lease: onlooker{l, time.Second}}, plan: clonePlan()}
		if over := s.over(s.renew(t.Context())); errors.Is(over, lease.ErrLost) != tt.lost || (over != nil) != tt.lost {
			t.Errorf("%s: %v", name, over)
		}
	}
}
