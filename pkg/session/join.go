package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Join runs p's command in a session that is already running, and returns the command's exit status. c.Lease
// is the session's lease. Join follows it, so that its end is announced. Join never ends the session. When it
// returns, the command has ended, or it ends by itself after its heartbeat timeout.
func Join(ctx context.Context, c Config, p *plan.Plan) (status int, err error) {
	if c.Lease != nil {
		c.Lease = onlooker{c.Lease, p.Agent.HeartbeatInterval()}
	}
	s := newSession(c, p)
	defer func() { err = s.flush(ctx, err) }() // last: nobody might read
	s.Reporter.Created(p)
	created, cancel := context.WithCancel(ctx)
	cancel()
	leased, stopRenewing := s.renewLease(ctx, created)
	status, err = s.runBeside(leased)
	err = stopRenewing(err)
	// It is a matter of chance which is seen first: the end of the lease or its consequence.
	if err == nil && status == agent.Killed {
		err = s.leaseExpired(s.renew(ctx))
	}
	if err != nil && s.phase != ended && !errors.Is(err, lease.ErrLost) {
		s.killJoined(ctx)
	}
	return status, err
}

// ErrNotBegun means that a session has ended before a command began in it.
var ErrNotBegun = errors.New("the command has not begun")

// onlooker is the lease of a session that another client keeps. Only the server decides whether it has ended,
// never this computer's clock, since the lease was not taken by that clock.
type onlooker struct {
	Lease
	interval time.Duration
}

// Renew only looks at the lease. It ignores a server that does not answer: that is not for an onlooker to
// worry about.
func (o onlooker) Renew(ctx context.Context, _ map[string]string) error {
	if err := o.Lease.Renew(ctx, nil); errors.Is(err, lease.ErrLost) {
		return err
	}
	return nil
}

// Visit returns nothing: that is for the session's own client to tell.
func (o onlooker) Visit() string { return "" }

// Left returns, for both results, how long the lease may live at most, but not less than the time until it is
// looked at again.
func (o onlooker) Left() (unrenewed, most time.Duration) {
	_, most = o.Lease.Left()
	most = max(most, o.interval)
	return most, most
}

// runBeside runs the plan's command beside the session's own process, whatever that is.
func (s *session) runBeside(ctx context.Context) (int, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told, err := s.connect(ctx, stop)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	broken := err
	status, err := s.outcome(told, err, func() error { return s.whyKilled(ctx) })
	switch {
	case err == nil && status == agent.Killed && s.agent.WasSilent():
		return 0, fmt.Errorf("the command in %s was ended: this client had sent no heartbeat for %s",
			s.where(), duration.HumanDuration(s.agent.HeartbeatTimeout))
	case err == nil:
		return status, nil
	case s.phase != ended:
		if why := s.sessionEnded(ctx, 2*settleTime); why != nil {
			err = why
		}
	}
	switch {
	case s.phase == ended && !s.agent.IsOpen():
		return 0, fmt.Errorf("%w: %w", ErrNotBegun, err)
	case s.phase == ended:
		return 0, err
	case !s.agent.IsOpen() && !s.isRefusal(broken):
		return 0, hint.Wrap(s.notBegun(err), s.unopenedHint(err))
	case !s.agent.IsOpen():
		return 0, hint.Wrap(err, s.unopenedHint(err))
	}
	return 0, hint.Wrap(err, hint.Command("open another: kubectl eshell attach %s -n %s", s.plan.Name(),
		s.plan.Namespace))
}

// unopenedHint returns what to type when the stream of a command did not open. Only text tells a missing
// permission from a policy that refuses the stream: both are "forbidden".
func (s *session) unopenedHint(err error) string {
	if strings.Contains(err.Error(), " cannot ") {
		return hint.Command("check your permission: kubectl auth can-i create pods/exec -n %s",
			s.plan.Namespace)
	}
	return hint.Command("look at the pod and its node: kubectl describe pod %s -n %s", s.plan.PodName,
		s.plan.Namespace)
}

// whyKilled returns why the session ended under a command that got SIGKILL, or nil if only the command was
// killed. The pod's status may be seconds late. So if it shows nothing, the server is asked whether the
// container still takes commands.
func (s *session) whyKilled(ctx context.Context) error {
	why := s.sessionEnded(ctx, 2*settleTime)
	if why == nil && s.agent.IsRefused(ctx, 2*settleTime) {
		why = s.sessionEnded(ctx, reasonTimeout)
	}
	return why
}

// sessionEnded returns why the session ended, or nil if its pod does not show that within the given time.
func (s *session) sessionEnded(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pod, err := s.Client.CoreV1().Pods(s.plan.Namespace).Get(ctx, s.plan.PodName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		s.enter(ended)
		return fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
	}
	if err != nil { // the command's own status is known
		return nil
	}
	watch, err := watchPod(ctx, s.Client, pod)
	if err != nil {
		return nil
	}
	defer watch.stop()
	why, _ := s.whyEnded(ctx, watch)
	if why != nil {
		s.enter(ended)
	}
	return why
}

// killJoined ends a command that may still be running.
func (s *session) killJoined(ctx context.Context) {
	if !s.agent.IsOpen() { // without a client the gate closes, and a command that has just begun times out
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if err := s.agent.Stop(ctx); err != nil {
		s.Reporter.Warn("the command in %s might still run for up to %s: %v", s.where(),
			duration.HumanDuration(s.agent.HeartbeatTimeout), err)
	}
}
