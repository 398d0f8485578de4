// Package lease keeps a session's objects in the cluster for as long as its client says so. Nothing
// of ours runs there: a lease is a Job that never starts a pod, with a deadline that the client keeps
// pushing forward. When the client stops, the job controller fails the Job, the TTL controller
// deletes it, and the garbage collector deletes what it owns.
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

// Terms are what a lease is taken for.
type Terms struct {
	Namespace   string
	Session     string            // the session's id
	Length      time.Duration     // how long it lives without being renewed
	TTL         time.Duration     // how long it lives at most; whole seconds
	Fixed       bool              // nobody will renew it: it lives for its TTL
	Annotations map[string]string // what is to be known of the session
}

// Lease is a session's hold on its objects. One goroutine at a time may use it.
type Lease struct {
	Name string
	UID  types.UID

	jobs    typed.JobInterface
	length  time.Duration
	ttl     time.Duration
	fixed   bool          // it is not renewed, but followed
	others  bool          // somebody else gives it up
	taken   time.Time     // before the server's own clock for it starts
	renewed time.Duration // when it was renewed last, after taken
}

// ErrLost means that the lease is gone, and with it what it owned.
var ErrLost = errors.New("it was deleted by somebody else, or not renewed in time")

// Take makes a lease. The errors are the server's own. After one nothing is left, or, if the server's
// answer was lost, a Job that owns nothing and ends by itself.
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

// Follow returns the hold of somebody who looks on: it is as long as the lease's TTL, and Release gives
// nothing up.
func Follow(client kubernetes.Interface, job *batchv1.Job) *Lease {
	ttl, _ := ttlOf(job)
	return &Lease{
		Name: job.Name, UID: job.UID, jobs: client.BatchV1().Jobs(job.Namespace),
		length: ttl, ttl: ttl, fixed: true, others: true, taken: job.CreationTimestamp.Time,
	}
}

// Renew pushes the deadline forward, but never beyond the lease's TTL, which others may have
// extended: it is read from the answer. A lease that is not to be renewed is looked at. ErrLost means
// that it is too late.
func (l *Lease) Renew(ctx context.Context, annotations map[string]string) error {
	if l.fixed {
		return l.follow(ctx)
	}
	return l.push(ctx, annotations)
}

// Detach makes the lease live for its TTL without being renewed any more, and say so.
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

// follow looks whether the lease is still there, and how long it may live. Who may not look takes it that
// nothing has changed.
func (l *Lease) follow(ctx context.Context) error {
	job, err := l.jobs.Get(ctx, l.Name, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err := l.alive(job, err); err != nil {
		return err
	}
	l.useTTL(job)
	l.length = l.ttl
	return nil
}

// push moves the deadline.
func (l *Lease) push(ctx context.Context, annotations map[string]string) error {
	now := l.age()
	all := map[string]string{} // not nil, which would take all of them away
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
	l.useTTL(job)
	return nil
}

// useTTL takes over the TTL that the Job states now, if it states one.
func (l *Lease) useTTL(job *batchv1.Job) {
	if ttl, stated := ttlOf(job); stated {
		l.ttl = ttl
	}
}

// alive judges the server's answer to a request for the lease.
func (l *Lease) alive(job *batchv1.Job, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("job/%s: %w", l.Name, ErrLost)
	case err != nil:
		return fmt.Errorf("job/%s: %w", l.Name, err)
	case job.UID != l.UID || job.DeletionTimestamp != nil || HasEnded(job):
		return fmt.Errorf("job/%s: %w", l.Name, ErrLost)
	}
	return nil
}

// age is how long ago the lease was taken, a suspended computer's sleep included: Go's own clock
// stands still then, the server's does not. Where the two disagree, the longer time is the safe one.
func (l *Lease) age() time.Duration {
	now := time.Now()
	return max(now.Sub(l.taken), now.Round(0).Sub(l.taken.Round(0)))
}

// Left is how long the lease lives if it is not renewed any more, and at most.
func (l *Lease) Left() (unrenewed, most time.Duration) {
	age := l.age()
	most = l.ttl - age
	return min(l.renewed+l.length-age, most), most
}

// Release gives the lease up, and with it what it owns. Who may not delete it lets it run out.
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

// IsGone reports an answer by which an object that has our UID is not there: none, or another one of that
// name.
func IsGone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

// Deadline is the activeDeadlineSeconds that makes a Job live for d or a little longer, never shorter: it
// is in whole seconds, and counted from a start whose own fraction of a second Kubernetes has cut off.
func Deadline(d time.Duration) int64 { return int64((d+time.Second-1)/time.Second) + 1 }
