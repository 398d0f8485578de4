package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// End deletes the session's lease and its clone, and no others that might have their names by now.
// What is gone already is no error. A clone's end is either's: the lease's takes the clone with it.
func End(ctx context.Context, client kubernetes.Interface, s Session) error {
	var podErr, jobErr error
	var asked sync.WaitGroup
	if s.pod != nil {
		asked.Go(func() { podErr = s.deletePod(ctx, client) })
	}
	if s.job != nil {
		asked.Go(func() { jobErr = lease.Delete(ctx, client, s.job) })
	}
	asked.Wait()
	if s.pod != nil && s.job != nil && (podErr == nil || jobErr == nil) {
		return nil
	}
	return errors.Join(podErr, jobErr)
}

func (s Session) deletePod(ctx context.Context, client kubernetes.Interface) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.pod.UID}}
	err := client.CoreV1().Pods(s.Namespace).Delete(ctx, s.pod.Name, options)
	if err == nil || lease.IsGone(err) {
		return nil
	}
	return fmt.Errorf("delete pod/%s: %w", s.pod.Name, err)
}
