package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// End deletes the session's lease and its clone, and no others that might have their names by now.
// What is gone already is no error. A clone's end is either's: the lease's takes the clone with it.
func End(ctx context.Context, client kubernetes.Interface, s Session) error {
	var podErr, jobErr error
	var asked sync.WaitGroup
	if s.pod != nil {
		asked.Go(func() { podErr = s.endPod(ctx, client) })
	}
	if s.job != nil {
		asked.Go(func() { jobErr = s.endLease(ctx, client) })
	}
	asked.Wait()
	if s.pod != nil && s.job != nil && (podErr == nil || jobErr == nil) {
		return nil
	}
	return errors.Join(podErr, jobErr)
}

func (s Session) endPod(ctx context.Context, client kubernetes.Interface) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.pod.UID}}
	return ended("pod/"+s.pod.Name, client.CoreV1().Pods(s.Namespace).Delete(ctx, s.pod.Name, options))
}

func (s Session) endLease(ctx context.Context, client kubernetes.Interface) error {
	options := metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &s.job.UID},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	}
	return ended("job/"+s.job.Name, client.BatchV1().Jobs(s.Namespace).Delete(ctx, s.job.Name, options))
}

// ended covers the UID precondition too: another object has the name, so ours is not there.
func ended(what string, err error) error {
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("delete %s: %w", what, err)
}
