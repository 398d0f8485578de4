package inventory

import (
	"context"
	"fmt"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Lookup is Read for the one session that has a name: nothing is listed. It takes one round trip, and a
// second one for a clone that is called by its lease's name.
func Lookup(ctx context.Context, client kubernetes.Interface, namespace, name string) (*Inventory, error) {
	var pods *corev1.PodList
	var jobs *batchv1.JobList
	var podsErr, jobsErr error
	i := &Inventory{Namespace: namespace}
	var asked sync.WaitGroup
	asked.Go(func() { pods, podsErr = getClone(ctx, client, namespace, name) })
	asked.Go(func() { jobs, jobsErr = getLease(ctx, client, namespace, name) })
	asked.Go(func() { i.User = access.UserName(ctx, client) })
	asked.Wait()
	if clone := cloneOf(jobs); clone != "" && clone != name {
		pods, podsErr = getClone(ctx, client, namespace, clone)
	}
	if err := i.take(pods, podsErr, jobs, jobsErr); err != nil {
		return nil, fmt.Errorf("session %s: %w", name, err)
	}
	return i, nil
}

// cloneOf is the clone that a lease says is its session's.
func cloneOf(jobs *batchv1.JobList) string {
	if jobs == nil || len(jobs.Items) == 0 || jobs.Items[0].Annotations[owned.ModeAnnotation] != modeClone {
		return ""
	}
	return jobs.Items[0].Annotations[owned.PodAnnotation]
}

func getClone(ctx context.Context, client kubernetes.Interface, namespace, name string) (*corev1.PodList,
	error) {
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return &corev1.PodList{}, ignoreNotFound(err)
	}
	return &corev1.PodList{Items: []corev1.Pod{*pod}}, nil
}

// getLease finds the lease by the session's id, in which the names of both end.
func getLease(ctx context.Context, client kubernetes.Interface, namespace, name string) (*batchv1.JobList,
	error) {
	id := name[strings.LastIndex(name, "-")+1:]
	job, err := client.BatchV1().Jobs(namespace).Get(ctx, owned.LeaseName(id), metav1.GetOptions{})
	if err != nil {
		return &batchv1.JobList{}, ignoreNotFound(err)
	}
	return &batchv1.JobList{Items: []batchv1.Job{*job}}, nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
