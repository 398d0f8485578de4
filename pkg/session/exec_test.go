package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// byExec is a plan whose command runs by exec.
func byExec(tty bool) *plan.Plan {
	a := agent.New(agent.Options{Session: "x7k2p", Via: agent.ViaExec, TTY: tty,
		HeartbeatTimeout: time.Minute})
	return &plan.Plan{PodName: "api", Agent: a}
}

// markID is the id by which the agent's script tells an end in these tests.
const markID = "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"

// endless is a stream.Client whose command tells its end and whose stream never ends by itself.
type endless struct{ stream.Client }

func (endless) Exec(ctx context.Context, _ stream.Container, _ []string,
	streams remotecommand.StreamOptions) error {
	for _, out := range []io.Writer{streams.Stdout, streams.Stderr} {
		fmt.Fprint(out, "\x1eeshell x7k2p "+markID+"\n\x1e"+markID+" 3\n")
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestLostEnd: the status is the one that was told, and the session ends.
func TestLostEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		s := newSession(Config{Streams: endless{}, Reporter: &story{}, StartTimeout: time.Minute,
			Stdout: io.Discard, Stderr: io.Discard}, byExec(false))
		told, _ := s.connect(ctx, stop)
		if told == nil || *told != 3 || ctx.Err() != nil {
			t.Errorf("told %v, session %v; want 3, alive", told, ctx.Err())
		}
	})
}

// closed is a stream.Client whose streams are closed as if all were well.
type closed struct{ stream.Client }

func (closed) Exec(context.Context, stream.Container, []string, remotecommand.StreamOptions) error {
	return nil
}

func (closed) Attach(context.Context, stream.Container, remotecommand.StreamOptions) error {
	return nil
}

// TestUntold: a stream that was closed without the command's end is no success.
func TestUntold(t *testing.T) {
	for _, tty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(Config{Streams: closed{}, Reporter: &story{}, StartTimeout: time.Minute,
				Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, byExec(tty))
			const lost = "the connection to pod/api was lost: the stream ended without the command's exit status"
			if status, err := s.runCommand(t.Context()); status != 0 || errorText(err) != lost {
				t.Errorf("terminal %t: status %d, error %v", tty, status, err)
			}
		})
	}
}

// refusing is a stream.Client whose container is not there any more.
type refusing struct{ stream.Client }

func (refusing) Exec(context.Context, stream.Container, []string, remotecommand.StreamOptions) error {
	return errors.New("no running task found")
}

func (refusing) Attach(context.Context, stream.Container, remotecommand.StreamOptions) error {
	return errors.New("no running task found")
}

// TestRefused: a command that was not run says why its pod has ended, if it has, and else the server's word.
func TestRefused(t *testing.T) {
	for what, want := range map[error]string{
		errDeleted: "pod/api ended during the session: it was deleted by somebody else",
		nil:        "no command could be started in pod/api: no running task found",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(Config{Streams: refusing{}, Reporter: &story{}, StartTimeout: time.Minute,
				Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, byExec(false))
			s.watch = &podWatch{pod: &corev1.Pod{}, news: make(chan podEvent, 1)}
			if what != nil {
				s.watch.put(podEvent{err: what})
			}
			if status, err := s.runCommand(t.Context()); status != 0 || errorText(err) != want {
				t.Errorf("status %d, error %v, want %q", status, err, want)
			}
		})
	}
}

// TestUnopenedHint: only a user who lacks the permission is told to check it.
func TestUnopenedHint(t *testing.T) {
	s := newSession(Config{Reporter: &story{}}, clonePlan())
	for words, want := range map[string]string{
		`pods "x" is forbidden: User "ann" cannot create resource "pods/exec"`: "check your permission: " +
			"kubectl auth can-i create pods/exec -n shop",
		"unable to upgrade connection: error dialing backend: connect: connection refused": "look at the pod " +
			"and its node: kubectl describe pod api-eshell-x7k2p -n shop",
	} {
		if got := s.unopenedHint(errors.New(words)); got != want {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}

// TestOnlooker: a joined shell ends with its session's lease, and by no clock of its own.
func TestOnlooker(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error
		lost   bool
	}{"alive": {nil, false}, "no answer": {errors.New("connection refused"), false},
		"ended": {lease.ErrLost, true}} {
		l := newLease(func(l *aLease) {
			l.ttl = -time.Hour
			l.answer = func(context.Context, time.Duration) error { return tt.answer }
		})
		s := newSession(Config{Lease: onlooker{l, time.Second}, Reporter: &story{}}, clonePlan())
		if expired := s.leaseExpired(s.renew(t.Context())); errors.Is(expired, lease.ErrLost) != tt.lost ||
			(expired != nil) != tt.lost {
			t.Errorf("%s: %v", name, expired)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// mute is a node behind an API server that opens streams: it brings nothing.
type mute struct{}

func (mute) Exec(ctx context.Context, _ stream.Container, _ []string, _ remotecommand.StreamOptions) error {
	stream.Opened(ctx)
	<-ctx.Done()
	return context.Cause(ctx)
}

func (mute) Attach(ctx context.Context, _ stream.Container, _ remotecommand.StreamOptions) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestNodeHangs: a command that does not begin behind an open stream is not waited for any longer than a
// start.
func TestNodeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context()) // the holder's stream outlives the command's
		told := &story{}
		s := newSession(Config{Streams: mute{}, Reporter: told, StartTimeout: time.Minute,
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, byExec(false))
		s.watch = &podWatch{pod: &corev1.Pod{}, news: make(chan podEvent, 1)}
		began := time.Now()
		status, err := s.runCommand(ctx)
		const want = "the command in pod/api did not start within 1m0s: its node, or a proxy on the way, does not answer"
		if status != 0 || errorText(err) != want || time.Since(began) != time.Minute {
			t.Errorf("status %d, error %v after %s, want %q", status, err, time.Since(began), want)
		}
		if said := []string{"warning: still waiting: the command in pod/api to begin\nhint: a proxy might be " +
			"waiting for somebody's approval; wait longer: --start-timeout 5m0s"}; !slices.Equal(told.lines, said) {
			t.Errorf("it said %q, want %q", told.lines, said)
		}
		cancel()
		limited, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_ = s.agent.Stop(limited) // or the holder's stream lasts as long as the test
	})
}

// lone is a stream.Client whose commands run, and whose node answers no other request for a stream.
type lone struct{ mute }

func (lone) Exec(ctx context.Context, _ stream.Container, _ []string,
	streams remotecommand.StreamOptions) error {
	stream.Opened(ctx)
	_, _ = io.WriteString(streams.Stderr, "\x1eeshell x7k2p "+markID+"\n")
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestHolderUnanswered: a holder that hears nobody ends the container. The session says so, and ends before
// that.
func TestHolderUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &story{}
		s := newSession(Config{Streams: lone{}, Reporter: told, StartTimeout: time.Minute,
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard}, byExec(false))
		began := time.Now()
		status, err := s.runCommand(t.Context())
		const want = "the connection that keeps pod/api alive did not open within 5m0s"
		if status != 0 || errorText(err) != want || time.Since(began) != 5*time.Minute {
			t.Errorf("status %d, error %v after %s, want %q", status, err, time.Since(began), want)
		}
		if want := []string{"warning: the connection that keeps pod/api alive has not opened yet: " +
			"the session ends in 4m25s without it"}; !slices.Equal(told.lines, want) {
			t.Errorf("told %q, want %q", told.lines, want)
		}
		limited, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_ = s.agent.Stop(limited) // or the holder's stream lasts as long as the test
	})
}

// TestEscapes: what is listed is what can be typed in this session.
func TestEscapes(t *testing.T) {
	clone, debug, joined := clonePlan(), &plan.Plan{Ephemeral: &corev1.EphemeralContainer{}}, &plan.Plan{}
	keys := []byte("\x10\x1ba\x7f\x00")
	const rest = ", ~~ types ~, ~? lists these"
	for _, tt := range []struct {
		p    *plan.Plan
		keys []byte
		want string
	}{
		{clone, nil, "~. ends the session, ~d leaves it" + rest},
		{clone, keys, "~. ends the session, ~d and ctrl-p,ctrl-[,a,DEL,ctrl-@ leave it" + rest},
		{debug, keys, "~. ends the session" + rest},
		{joined, keys, "~. ends this shell, and the session stays" + rest},
	} {
		if got := escapes(tt.p, '~', tt.keys); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestPastDeadline: a pod that the kubelet ends at the deadline that it was created with has reached the end
// of its session's --ttl. Any other deadline is somebody else's.
func TestPastDeadline(t *testing.T) {
	const other = " ended during the session: DeadlineExceeded: too long"
	limited := clonePlan()
	limited.Pod.Spec.ActiveDeadlineSeconds = new(int64(3600))
	for _, tt := range []struct {
		plan     *plan.Plan
		deadline int64
		want     string
	}{
		{limited, 3600, "pod/api-eshell-x7k2p has reached the end of its time (--ttl)"},
		{limited, 1, "pod/api-eshell-x7k2p" + other},
		{clonePlan(), 3600, "pod/api-eshell-x7k2p" + other},
		{debugPlan(), 3600, "container eshell-x7k2p in pod/api-7d4b9" + other},
	} {
		s := newSession(Config{Reporter: &story{}}, tt.plan)
		why, err := s.whyEnded(t.Context(), &podWatch{pod: &corev1.Pod{
			Spec:   corev1.PodSpec{ActiveDeadlineSeconds: &tt.deadline},
			Status: corev1.PodStatus{Reason: "DeadlineExceeded", Message: "too long"}}})
		if errorText(why) != tt.want || err != nil {
			t.Errorf("%v, %v; want %q", why, err, tt.want)
		}
	}
}
