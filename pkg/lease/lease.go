// Package lease keeps a session's objects in the cluster for as long as its client wants. None of our
// programs runs there. A lease is a Job that never starts a pod, with a deadline that the client keeps
// pushing forward. When the client stops, the job controller fails the Job, the TTL controller deletes it,
// and the garbage collector deletes what it owns.
// https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/batch/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Terms are the terms of a lease.
type Terms struct {
	Namespace   string
	Session     string            // the session's id
	Length      time.Duration     // how long it lives without being renewed
	TTL         time.Duration     // how long it lives at most; whole seconds
	Fixed       bool              // nobody will renew it, so it lives for its TTL
	User        string            // who opens the session; empty: not known
	Reason      string            // why; empty: not stated
	Annotations map[string]string // they describe the session further
}

// Lease is a session's hold on its objects. Only one goroutine at a time is allowed to use it.
type Lease struct {
	Name string
	UID  types.UID

	jobs    typed.JobInterface
	length  time.Duration
	ttl     time.Duration
	fixed   bool          // it is followed instead of renewed
	others  bool          // somebody else releases it
	taken   time.Time     // just before the server's own clock for it starts
	renewed time.Duration // when it was last renewed, counted from taken
	visit   string        // the value of AttachedByAnnotation
}

// ErrLost means that the lease is gone, and with it what it owned.
var ErrLost = errors.New("it was deleted by somebody else, or not renewed in time")

// endedBy is an ErrLost with the user who has asked for the end of the session.
type endedBy struct{ user string }

func (e endedBy) Error() string { return e.user + " has deleted the session" }

// Unwrap returns ErrLost.
func (e endedBy) Unwrap() error { return ErrLost }

// Take makes a lease. The errors are the server's own. After an error nothing is left. If the server's answer
// was lost, a Job may be left that owns nothing and ends by itself.
func Take(ctx context.Context, client kubernetes.Interface, t Terms) (*Lease, error) {
	if t.Fixed {
		t.Length = t.TTL
	}
	l := &Lease{jobs: client.BatchV1().Jobs(t.Namespace), length: t.Length, ttl: t.TTL, fixed: t.Fixed,
		taken: time.Now()}
	job, err := l.jobs.Create(ctx, t.job(), metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	l.Name, l.UID = job.Name, job.UID
	if why := endless(&job.Spec); why != "" {
		return nil, errors.Join(fmt.Errorf("job/%s would never end: on arrival %s", job.Name, why),
			l.Release(ctx))
	}
	return l, nil
}

// Follow returns a lease for somebody who only observes it. Its length is the TTL, and Release does nothing.
func Follow(client kubernetes.Interface, job *batchv1.Job) *Lease {
	ttl, _ := ttlOf(job)
	return &Lease{
		Name: job.Name, UID: job.UID, jobs: client.BatchV1().Jobs(job.Namespace),
		length: ttl, ttl: ttl, fixed: true, others: true, taken: job.CreationTimestamp.Time,
	}
}

// Renew pushes the deadline forward, but never beyond the lease's TTL. Others may have extended the TTL, so
// it is read from the answer. If the lease is not to be renewed, Renew only checks it. ErrLost means that it
// is too late.
func (l *Lease) Renew(ctx context.Context, annotations map[string]string) error {
	if l.fixed {
		return l.follow(ctx)
	}
	return l.push(ctx, annotations)
}

// Detach makes the lease live for its TTL without further renewals, and marks it as detached.
func (l *Lease) Detach(ctx context.Context, annotations map[string]string) error {
	if l.fixed {
		return l.follow(ctx)
	}
	all := map[string]string{}
	maps.Copy(all, annotations)
	all[owned.KeptAnnotation] = owned.Detached
	for {
		l.length = l.ttl
		if err := l.push(ctx, all); err != nil {
			return err
		}
		if l.length >= l.ttl { // otherwise somebody has just extended it
			return nil
		}
	}
}

// follow checks whether the lease still exists and how long it may live. If the caller is not allowed to read
// the lease, follow assumes that nothing has changed.
func (l *Lease) follow(ctx context.Context) error {
	job, err := l.jobs.Get(ctx, l.Name, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err := l.alive(job, err); err != nil {
		return err
	}
	l.use(job)
	l.length = l.ttl
	return nil
}

// push moves the deadline and adds the annotations.
func (l *Lease) push(ctx context.Context, annotations map[string]string) error {
	now := l.age()
	all := map[string]string{} // not nil, which would remove all of them
	maps.Copy(all, annotations)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": l.UID, "annotations": all},
		"spec":     map[string]any{"activeDeadlineSeconds": Deadline(min(now+l.length, l.ttl))},
	})
	if err != nil {
		return err
	}
	job, err := l.jobs.Patch(ctx, l.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err := l.alive(job, err); err != nil {
		return err
	}
	l.renewed = now
	l.use(job)
	return nil
}

// use adopts what the Job states now: its TTL, if it states one, and who has attached.
func (l *Lease) use(job *batchv1.Job) {
	if ttl, stated := ttlOf(job); stated {
		l.ttl = ttl
	}
	l.visit = job.Annotations[owned.AttachedByAnnotation]
}

// Visit returns the value of owned.AttachedByAnnotation at the last renewal.
func (l *Lease) Visit() string { return l.visit }

// alive returns an error if a request for the lease failed, or ErrLost if the server's answer shows that the
// lease is gone.
func (l *Lease) alive(job *batchv1.Job, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("job/%s: %w", l.Name, ErrLost)
	case err != nil:
		return fmt.Errorf("job/%s: %w", l.Name, err)
	case job.UID == l.UID && job.Annotations[owned.EndedByAnnotation] != "":
		return fmt.Errorf("job/%s: %w", l.Name, endedBy{job.Annotations[owned.EndedByAnnotation]})
	case job.UID != l.UID || job.DeletionTimestamp != nil || HasEnded(job):
		return fmt.Errorf("job/%s: %w", l.Name, ErrLost)
	}
	return nil
}

// age returns how long ago the lease was taken, including the time that the computer was suspended. Go's own
// clock stops during that time, and the server's does not. If Go's clock and the computer's disagree, the
// longer time is the safe one.
func (l *Lease) age() time.Duration {
	now := time.Now()
	return max(now.Sub(l.taken), now.Round(0).Sub(l.taken.Round(0)))
}

// Left returns how long the lease lives if it is not renewed again, and how long it lives at most.
func (l *Lease) Left() (unrenewed, most time.Duration) {
	age := l.age()
	most = l.ttl - age
	return min(l.renewed+l.length-age, most), most
}

// Release gives up the lease, and with it what it owns. If the caller is not allowed to delete the lease,
// Release makes it expire.
func (l *Lease) Release(ctx context.Context) error {
	if l.others {
		return nil
	}
	err := deleteJob(ctx, l.jobs, l.Name, l.UID)
	if err == nil || IsGone(err) || apierrors.IsForbidden(err) && l.expire(ctx) == nil {
		return nil
	}
	return fmt.Errorf("job/%s: %w", l.Name, err)
}

// expire makes the lease end at once.
func (l *Lease) expire(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": l.UID}, "spec": map[string]any{"activeDeadlineSeconds": 1},
	})
	if err != nil {
		return err
	}
	_, err = l.jobs.Patch(ctx, l.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if IsGone(err) {
		return nil
	}
	return err
}

// IsGone reports whether an answer means that the object with our UID is gone. Either there is no object of
// that name, or it is another one.
func IsGone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

// Deadline returns the activeDeadlineSeconds that makes a Job live for d or a little longer, never shorter.
// The deadline is in whole seconds. It counts from a start time without its fraction of a second, which
// Kubernetes cuts off.
func Deadline(d time.Duration) int64 { return int64((d+time.Second-1)/time.Second) + 1 }
