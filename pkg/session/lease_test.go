package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// aLease lives for length without being renewed. A test states what its server answers.
type aLease struct {
	length, ttl    time.Duration
	taken, renewed time.Time
	renewals       int
	answer         func(ctx context.Context, since time.Duration) error // nil: it is renewed
	// by how much, as somebody else did it
	extended func(since time.Duration) time.Duration
	release  func(context.Context) error // nil: it is done
	detach   func() error                // nil: it is done
	detached bool
	visit    string
	recorded []bool // of each renewal, whether it described the session
}

func newLease(change ...func(*aLease)) *aLease {
	l := &aLease{length: 2 * time.Minute, ttl: 8 * time.Hour, taken: time.Now(), renewed: time.Now()}
	for _, c := range change {
		c(l)
	}
	return l
}

func (l *aLease) Renew(ctx context.Context, record map[string]string) error {
	l.renewals++
	l.recorded = append(l.recorded, len(record) > 0)
	since := time.Since(l.taken)
	if l.answer != nil {
		if err := l.answer(ctx, since); err != nil {
			return err
		}
	}
	l.renewed = time.Now()
	if l.extended != nil {
		l.ttl += l.extended(since)
	}
	return nil
}

func (l *aLease) Detach(context.Context, map[string]string) error {
	if l.detach != nil {
		if err := l.detach(); err != nil {
			return err
		}
	}
	l.detached = true
	return nil
}

func (l *aLease) Visit() string { return l.visit }

func (l *aLease) Left() (unrenewed, most time.Duration) {
	most = l.ttl - time.Since(l.taken)
	return min(l.length-time.Since(l.renewed), most), most
}

func (l *aLease) Release(ctx context.Context) error {
	if l.release == nil {
		return nil
	}
	return l.release(ctx)
}

func away(from, to time.Duration) func(*aLease) {
	return func(l *aLease) {
		l.answer = func(_ context.Context, since time.Duration) error {
			if since >= from && since < to {
				return errors.New("connection refused")
			}
			return nil
		}
	}
}

func hanging(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func lostAfter(d time.Duration) func(*aLease) {
	return func(l *aLease) {
		l.answer = func(_ context.Context, since time.Duration) error {
			if since >= d {
				return lease.ErrLost
			}
			return nil
		}
	}
}

// TestRenew: how long a session is kept, why it ends, and what its user is told on the way.
func TestRenew(t *testing.T) {
	const where = "pod/api-eshell-x7k2p"
	tests := []struct {
		name  string
		lease []func(*aLease)
		until time.Duration // when it ended, or an hour
		why   string
		says  []string
	}{
		{"renewed", nil, time.Hour, "", nil},
		{"the server is away for a minute", []func(*aLease){away(time.Minute, 2*time.Minute)}, time.Hour, "",
			[]string{
				"warning: the lease could not be renewed; " + where +
					" ends in 80s unless it can: connection refused", "the lease is renewed again"}},
		{"the server stays away", []func(*aLease){away(time.Minute, time.Hour)}, 160 * time.Second,
			where + " ended: its lease could not be renewed in time: connection refused", []string{
				"warning: the lease could not be renewed; " + where +
					" ends in 80s unless it can: connection refused"}},
		{"the server hangs", []func(*aLease){func(l *aLease) { l.answer = hanging }}, 135 * time.Second,
			where + " ended: its lease could not be renewed in time: the API server does not answer",
			[]string{
				"warning: the lease could not be renewed; " + where +
					" ends in 105s unless it can: the API server does not answer"}},
		{"one that is not to be renewed, and the server is away",
			[]func(*aLease){away(time.Minute, 2*time.Minute), func(l *aLease) { l.length = l.ttl }},
			time.Hour, "", nil},
		{"lost", []func(*aLease){lostAfter(20 * time.Second)}, 40 * time.Second,
			where + " ended with its lease: it was deleted by somebody else, or not renewed in time", nil},
		{"at its TTL", []func(*aLease){func(l *aLease) { l.ttl = 10 * time.Minute }}, 10 * time.Minute,
			where + " has reached the end of its time (--ttl)",
			[]string{"warning: " + where +
				" ends in 5m (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop",
				"warning: " + where +
					" ends in 60s (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop"}},
		{"at a TTL shorter than a warning", []func(*aLease){func(l *aLease) { l.ttl = 30 * time.Second }},
			30 * time.Second,
			where + " has reached the end of its time (--ttl)", nil},
		{"with a long lease the warnings are on time too",
			[]func(*aLease){func(l *aLease) { l.ttl, l.length = 20*time.Minute, time.Hour }},
			20 * time.Minute,
			where + " has reached the end of its time (--ttl)",
			[]string{"warning: " + where +
				" ends in 5m (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop",
				"warning: " + where +
					" ends in 60s (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop"}},
		{"a visit", []func(*aLease){func(l *aLease) {
			l.ttl = 2 * time.Hour
			l.answer = func(_ context.Context, since time.Duration) error {
				if since > time.Minute {
					l.visit = "bob 2026-11-26T07:15:00Z"
				}
				return nil
			}
		}}, time.Hour, "", []string{"bob has opened a shell in this session"}},
		{"extended after the first warning",
			[]func(*aLease){func(l *aLease) {
				l.ttl, l.extended = 10*time.Minute,
					once(6*time.Minute, 10*time.Minute)
			}}, 20 * time.Minute,
			where + " has reached the end of its time (--ttl)", []string{
				"warning: " + where +
					" ends in 5m (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop",
				"warning: " + where +
					" ends in 5m (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop",
				"warning: " + where +
					" ends in 60s (--ttl); for more: kubectl eshell extend api-eshell-x7k2p 1h -n shop"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, told := newLease(tt.lease...), &story{}
				p := clonePlan()
				p.Agent.HeartbeatTimeout = l.length
				hour, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				ctx, stop := context.WithCancelCause(hour)
				newSession(Config{Lease: l, Reporter: told}, p).renewUntil(ctx, stop)
				why := ""
				if hour.Err() == nil {
					why = context.Cause(ctx).Error()
				}
				if lived := time.Since(l.taken); lived != tt.until || why != tt.why {
					t.Errorf("it ended after %s, %q; want %s, %q", lived, why, tt.until, tt.why)
				}
				if !slices.Equal(told.lines, tt.says) {
					t.Errorf("said\n%s, want\n%s", strings.Join(told.lines, "\n"),
						strings.Join(tt.says, "\n"))
				}
			})
		})
	}
}

// once adds d as soon as from has passed.
func once(from, d time.Duration) func(time.Duration) time.Duration {
	done := false
	return func(since time.Duration) time.Duration {
		if done || since < from {
			return 0
		}
		done = true
		return d
	}
}

// TestRenewWithoutALease: nothing is renewed, and the TTL holds all the same.
func TestRenewWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, begin := &story{}, time.Now()
		ctx, stop := context.WithCancelCause(t.Context())
		newSession(Config{Reporter: told, TTL: 2 * time.Minute}, clonePlan()).renewUntil(ctx, stop)
		if lived := time.Since(begin); lived != 2*time.Minute ||
			context.Cause(ctx).Error() != "pod/api-eshell-x7k2p has reached the end of its time (--ttl)" {
			t.Errorf("it ended after %s: %v", lived, context.Cause(ctx))
		}
		if want := []string{"warning: pod/api-eshell-x7k2p ends in 60s (--ttl)"}; !slices.Equal(told.lines,
			want) {
			t.Errorf("said %q, want %q", told.lines, want)
		}
	})
}

// TestPreferLeaseError: what ended under a session may have ended with its lease.
func TestPreferLeaseError(t *testing.T) {
	deleted, other := errDeleted, errors.New("no luck")
	lost := []func(*aLease){lostAfter(0)}
	const byLease = "pod/api-eshell-x7k2p ended with its lease: it was deleted by somebody else, or not renewed in time"
	overdue := append([]func(*aLease){func(l *aLease) { l.length = 0 }}, lost...)
	tests := []struct {
		name   string
		lease  []func(*aLease)
		status int
		err    error
		want   string // empty: no error
	}{
		{"deleted with its lease", lost, 0, deleted, byLease},
		{"deleted by itself", nil, 0, deleted, "it was deleted by somebody else"},
		{"at the end of its TTL", []func(*aLease){func(l *aLease) { l.ttl = 0 }}, 0, deleted,
			"pod/api-eshell-x7k2p has reached the end of its time (--ttl)"},
		{"another end", lost, 0, other, "no luck"},
		{"killed", lost, 137, nil, ""},
		{"another end, overdue", overdue, 0, other, byLease},
		{"killed, overdue", overdue, 137, nil, byLease},
		{"by itself, overdue", overdue, 7, nil, ""},
	}
	for _, tt := range tests {
		s := newSession(Config{Lease: newLease(tt.lease...), Reporter: &story{}}, clonePlan())
		if got := errorText(s.preferLeaseError(t.Context(), tt.status, tt.err)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestCleanUpWithALease: the pod goes by its own delete or by the lease's.
func TestCleanUpWithALease(t *testing.T) {
	no := errors.New("no")
	forbidden := apierrors.NewForbidden(pods, "x", no)
	tests := []struct {
		name             string
		deleted, release error
		says             []string
	}{
		{"both", nil, nil, []string{"pod/api-eshell-x7k2p is being deleted"}},
		{"by the lease alone", forbidden, nil, []string{"pod/api-eshell-x7k2p is being deleted"}},
		{"by the lease, faster", apierrors.NewNotFound(pods, "x"), nil,
			[]string{"pod/api-eshell-x7k2p is being deleted"}},
		{"the pod was gone, and the lease stays", apierrors.NewNotFound(pods, "x"), forbidden,
			[]string{"pod/api-eshell-x7k2p was already gone",
				`warning: the lease could not be released; it ends by itself within 2m30s: pods "x" is forbidden: no`}},
		{"the lease stays", nil, forbidden, []string{"pod/api-eshell-x7k2p is being deleted",
			`warning: the lease could not be released; it ends by itself within 2m30s: pods "x" is forbidden: no`}},
		{"neither", no, no, []string{
			"warning: pod/api-eshell-x7k2p could not be deleted: no\nit ends by itself within 2m15s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, told := fake.NewClientset(), &story{}
				client.PrependReactor("delete", "pods",
					func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tt.deleted })
				l := newLease(func(l *aLease) {
					l.release = func(
						context.Context) error {
						return tt.release
					}
				})
				s := newSession(Config{Client: client, Reporter: told, Lease: l}, clonePlan())
				s.enter(created)
				s.cleanUp(t.Context())
				if !slices.Equal(told.lines, tt.says) {
					t.Errorf("said %q, want %q", told.lines, tt.says)
				}
			})
		})
	}
}

// TestWait: with --wait a session ends when its pod is gone, unless somebody is in a hurry.
func TestWait(t *testing.T) {
	gone := podEvent{err: errDeleted}
	deleting := podEvent{pod: pending()}
	tests := []struct {
		name      string
		podEvents []podEvent
		waits     time.Duration
		says      []string
	}{
		{"gone", []podEvent{deleting, gone}, 2 * time.Second, nil},
		{"it takes too long", []podEvent{deleting}, goneTimeout,
			[]string{"warning: pod/api-eshell-x7k2p might not be gone yet: it is still being deleted after 1m0s"}},
		{"it is not known", []podEvent{{err: errors.New("watch: forbidden")}}, time.Second,
			[]string{"warning: pod/api-eshell-x7k2p might not be gone yet: watch: forbidden"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told, begin := &story{}, time.Now()
				w := &podWatch{news: make(chan podEvent, 1), stop: func() {}}
				go func() {
					for _, seen := range tt.podEvents {
						<-time.After(time.Second)
						w.put(seen)
					}
				}()
				s := newSession(Config{Client: fake.NewClientset(), Reporter: told, Wait: true}, clonePlan())
				s.enter(created)
				s.watch = w
				s.cleanUp(t.Context())
				if want := append([]string{"pod/api-eshell-x7k2p was already gone"},
					tt.says...); !slices.Equal(told.lines, want) {
					t.Errorf("said %q, want %q", told.lines, want)
				}
				if waited := time.Since(begin); waited != tt.waits {
					t.Errorf("waited %s, want %s", waited, tt.waits)
				}
			})
		})
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	s := newSession(Config{Client: fake.NewClientset(), Reporter: &story{}, Wait: true}, clonePlan())
	s.enter(created)
	s.watch = &podWatch{stop: func() {}} // would block for ever
	s.cleanUp(interrupted)
}

// suspended is a lease of a computer that sleeps for 90 s, soon after a renewal: its timers stand still.
type suspended struct {
	*aLease
	at, slept time.Duration
}

func (l *suspended) Left() (unrenewed, most time.Duration) {
	if l.slept == 0 && time.Since(l.taken) >= l.at {
		l.slept = 90 * time.Second
		l.taken, l.renewed = l.taken.Add(-l.slept), l.renewed.Add(-l.slept)
	}
	return l.aLease.Left()
}

func (l *suspended) Renew(ctx context.Context, annotations map[string]string) error {
	if unrenewed, _ := l.Left(); unrenewed <= 0 {
		return lease.ErrLost
	}
	return l.aLease.Renew(ctx, annotations)
}

// TestRenewAfterSuspension: a lease that still lives when the computer wakes up is renewed.
func TestRenewAfterSuspension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := clonePlan()
		p.Agent.HeartbeatTimeout = 2 * time.Minute
		hour, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		ctx, stop := context.WithCancelCause(hour)
		l := &suspended{newLease(), 5 * time.Second, 0}
		newSession(Config{Lease: l, Reporter: &story{}}, p).renewUntil(ctx, stop)
		if hour.Err() == nil {
			t.Errorf("the session has ended: %v", context.Cause(ctx))
		}
	})
}

// TestFewRenewals: an idle session with a lease of the default length asks the API server for little.
func TestFewRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		renewals := 0
		l := newLease(func(l *aLease) {
			l.length, l.ttl = 2*time.Minute, 8*time.Hour
			l.answer = func(context.Context, time.Duration) error {
				renewals++
				return nil
			}
		})
		p := clonePlan()
		p.Agent.HeartbeatTimeout = l.length
		hour, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		ctx, stop := context.WithCancelCause(hour)
		newSession(Config{Lease: l, Reporter: &story{}}, p).renewUntil(ctx, stop)
		if renewals > 91 || renewals < 89 {
			t.Errorf("%d renewals in an hour, want one every 40 s", renewals)
		}
	})
}

// TestHeldCreate: while a proxy holds the create back, the lease is renewed and does not name a pod that is
// not there, which gc would take for deleted.
func TestHeldCreate(t *testing.T) {
	renewed := make(chan struct{}, 100)
	l := newLease(func(l *aLease) {
		l.answer = func(context.Context, time.Duration) error {
			renewed <- struct{}{}
			return nil
		}
	})
	client, p := fake.NewClientset(), clonePlan()
	client.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		<-renewed
		<-renewed
		pod := p.Pod.DeepCopy()
		pod.UID, pod.ResourceVersion = "uid-1", "5"
		return true, pod, nil
	})
	client.PrependWatchReactor("pods", clienttesting.DefaultWatchReactor(watch.NewFake(), nil))
	p.Agent.HeartbeatTimeout, p.Record = 3*time.Second, map[string]string{owned.PodAnnotation: p.PodName}
	s := newSession(Config{Client: client, Lease: l, Reporter: &story{}, StartTimeout: time.Minute}, p)
	_, stop, err := s.createLeased(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-renewed
	if err := stop(nil); err != nil || len(l.recorded) < 3 || l.recorded[0] || l.recorded[1] ||
		!l.recorded[len(l.recorded)-1] {
		t.Errorf("error %v; renewals that described the session: %v", err, l.recorded)
	}
}
