package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	leases "github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Extend lets a session live longer by a duration of whole seconds, and returns when it ends then.
// Its client hears of it with its next renewal; the deadline of a lease that nobody renews is put off here. A change that somebody else makes at the same time is
// kept: Extend starts again from there.
func Extend(ctx context.Context, client kubernetes.Interface, s Session, by time.Duration) (time.Time, error) {
	switch {
	case s.job == nil && leaseOwner(s) != nil:
		return time.Time{}, fmt.Errorf("the lease of %s was not found, or may not be listed", s.Name)
	case s.job == nil:
		return time.Time{}, hint.Errorf("open a new one that may live longer: kubectl eshell TYPE/NAME --ttl DURATION",
			"%s has no lease: its time is its pod's own activeDeadlineSeconds, which Kubernetes lets nobody raise", s.Name)
	case s.Unattended():
		return time.Time{}, hint.Errorf("open a new one that may live longer: kubectl eshell TYPE/NAME --mode debug --detach --ttl DURATION",
			"%s keeps its own time: its container was told when it started how long it may live", s.Name)
	}
	var ends time.Time
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		ends, err = extend(ctx, client, s, by)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("extend %s: %w", s.Name, err)
	}
	return ends, nil
}

func extend(ctx context.Context, client kubernetes.Interface, s Session, by time.Duration) (time.Time, error) {
	jobs := client.BatchV1().Jobs(s.Namespace)
	job, err := jobs.Get(ctx, s.Lease, metav1.GetOptions{})
	if err != nil {
		return time.Time{}, err
	}
	ends := leaseEnds(job)
	switch {
	case job.DeletionTimestamp != nil || over(job):
		return time.Time{}, fmt.Errorf("job/%s has ended", job.Name)
	case ends == nil:
		return time.Time{}, fmt.Errorf("job/%s does not say how long it may live: annotation %s", job.Name, owned.TTLAnnotation)
	}
	later := ends.Add(by)
	patch, err := longerPatch(job, later.Sub(job.CreationTimestamp.Time))
	if err != nil {
		return time.Time{}, err
	}
	_, err = jobs.Patch(ctx, job.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return later, err
}

// longerPatch is refused if the lease is another one by now, or has been changed.
func longerPatch(job *batchv1.Job, ttl time.Duration) ([]byte, error) {
	patch := map[string]any{"metadata": map[string]any{
		"resourceVersion": job.ResourceVersion,
		"annotations":     map[string]string{owned.TTLAnnotation: strconv.FormatInt(int64(ttl/time.Second), 10)},
	}}
	if job.Annotations[owned.KeptAnnotation] != "" {
		patch["spec"] = map[string]any{"activeDeadlineSeconds": leases.Deadline(ttl)}
	}
	return json.Marshal(patch)
}
