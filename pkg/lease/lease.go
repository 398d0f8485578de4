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
	"strconv"
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
	Length      time.Duration     // how long it lives without being renewed; whole seconds
	TTL         time.Duration     // how long it lives at most; whole seconds
	Annotations map[string]string // what is to be known of the session
}

// Lease is a session's hold on its objects.
type Lease struct {
	Name string
	UID  types.UID

	jobs    typed.JobInterface
	length  time.Duration
	ttl     time.Duration
	taken   time.Time // not later than the server's own
	renewed time.Time
}

// ErrLost means that the lease is gone, and with it what it owned.
var ErrLost = errors.New("the lease is gone")

// Take makes a lease. It does not outlive its length unless it is renewed. The errors are the
// server's own; after a refusal nothing is left.
func Take(ctx context.Context, client kubernetes.Interface, t Terms) (*Lease, error) {
	l := &Lease{jobs: client.BatchV1().Jobs(t.Namespace), length: t.Length, ttl: t.TTL, taken: time.Now()}
	l.renewed = l.taken
	job, err := l.jobs.Create(ctx, t.job(), metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	l.Name, l.UID = job.Name, job.UID
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		// A queue (Kueue) holds it back: its clock stands still.
		return nil, errors.Join(fmt.Errorf("job/%s was suspended on arrival: it would never end", job.Name), l.Release(ctx))
	}
	return l, nil
}

// Renew pushes the deadline forward, but never beyond the lease's TTL, which others may have
// extended: it is read from the answer. ErrLost means that it is too late.
func (l *Lease) Renew(ctx context.Context, annotations map[string]string) error {
	now := time.Now()
	if l.length >= l.ttl { // there is nothing to push forward
		l.renewed = now
		return nil
	}
	deadline := min(now.Sub(l.taken)+l.length, l.ttl)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": l.UID, "annotations": annotations},
		"spec":     map[string]any{"activeDeadlineSeconds": int64(deadline.Seconds())},
	})
	if err != nil {
		return err
	}
	job, err := l.jobs.Patch(ctx, l.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		return ErrLost
	case err != nil:
		return err
	case job.DeletionTimestamp != nil || finished(job):
		return ErrLost
	}
	l.renewed = now
	l.ttl = ttlOf(job, l.ttl)
	return nil
}

// Left is how long the lease lives if it is not renewed any more, and at most.
func (l *Lease) Left() (unrenewed, most time.Duration) {
	most = l.ttl - time.Since(l.taken)
	return min(l.length-time.Since(l.renewed), most), most
}

// Length is how long the lease lives without being renewed.
func (l *Lease) Length() time.Duration { return l.length }

// Release gives the lease up, and with it what it owns.
func (l *Lease) Release(ctx context.Context) error {
	err := l.jobs.Delete(ctx, l.Name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground),
		Preconditions:     &metav1.Preconditions{UID: &l.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func finished(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == "True" {
			return true
		}
	}
	return false
}

func ttlOf(job *batchv1.Job, fallback time.Duration) time.Duration {
	seconds, err := strconv.ParseInt(job.Annotations[owned.TTLAnnotation], 10, 64)
	if err != nil {
		return fallback
	}
	return time.Duration(seconds) * time.Second
}

func (t Terms) annotations() map[string]string {
	all := maps.Clone(t.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	all[owned.TTLAnnotation] = strconv.FormatInt(int64(t.TTL.Seconds()), 10)
	return all
}
