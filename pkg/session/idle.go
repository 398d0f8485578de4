package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// mostNotice is how long before the end of an idle session the user is warned. It is half of the time that
// the session may be idle if that is shorter.
const mostNotice = time.Minute

// activity is when something was last typed or shown, by this computer's own clock.
type activity struct {
	began time.Time
	last  atomic.Int64 // nanoseconds since then
}

// note records that something is typed or shown now. It may be called for every piece of a lot of output.
func (a *activity) note() { a.last.Store(int64(time.Since(a.began))) }

// quiet waits until nothing has been typed or shown for d, and returns when the last thing was. It reports
// false if ctx ends first.
func (a *activity) quiet(ctx context.Context, d time.Duration) (last int64, ok bool) {
	for {
		last = a.last.Load()
		left := d - (time.Since(a.began) - time.Duration(last))
		if left <= 0 {
			return last, true
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return last, false
		}
	}
}

// watchIdle ends the session by calling stop if nothing is typed or shown for as long as Idle says, between
// the calls of its results. Nobody can type anything before the stream is open, which a proxy may hold back
// until somebody approves it.
func (s *session) watchIdle(ctx context.Context, stop context.CancelCauseFunc) (begin, over func()) {
	if s.Idle == 0 {
		return func() {}, func() {}
	}
	ctx, over = context.WithCancel(ctx)
	seen := &activity{began: time.Now()}
	s.user.Active = seen.note
	return sync.OnceFunc(func() {
		seen.note()
		go func() {
			if s.warnIdle(ctx, seen) {
				stop(s.idled())
			}
		}()
	}), over
}

// warnIdle returns true when the session has been idle for too long, and false when ctx ends. There is always
// a warning first, with all of its time: a client that was stopped may find that its time is over, and has
// not read yet what was typed and shown meanwhile.
func (s *session) warnIdle(ctx context.Context, seen *activity) bool {
	notice := min(mostNotice, s.Idle/2)
	for {
		last, idle := seen.quiet(ctx, s.Idle-notice)
		if !idle {
			return false
		}
		s.Reporter.Warn("%s ends in %s unless a key is typed: nothing was typed or shown for %s (--idle)",
			s.ending(), duration.HumanDuration(notice), duration.HumanDuration(s.Idle-notice))
		select {
		case <-time.After(notice):
		case <-ctx.Done():
			return false
		}
		if seen.last.Load() == last {
			return true
		}
	}
}

// idled is the error of a session that has been idle for too long.
func (s *session) idled() error {
	return hint.Wrap(
		fmt.Errorf("%s ended: it was idle for %s (--idle)", s.ending(), duration.HumanDuration(s.Idle)),
		hint.Command("for a longer time: --idle %s; without an end: --idle 0",
			duration.HumanDuration(2*s.Idle)))
}

// ending is what ends with this client: the session, or one more command in a session that stays.
func (s *session) ending() string {
	if s.plan.Pod == nil && s.plan.Ephemeral == nil {
		return "the command in " + s.where()
	}
	return s.where()
}
