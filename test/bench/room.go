//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	patience = 2 * time.Minute
	interval = 50 * time.Millisecond
	// endTime is how long the kubelet may take to say that a container has ended.
	endTime = 10 * time.Second
)

// room is the namespace of one command. It has a Deployment of one pod, and a pod by itself.
type room struct {
	*cluster
	name string
	own  map[types.UID]bool // its pods; any other is one that a command has left
}

// furnish creates the namespace and its workloads.
func (c *cluster) furnish(ctx context.Context, name string) (*room, error) {
	r := &room{cluster: c, name: name}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	labels := map[string]string{"app": deployment}
	workload := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: deployment}}
	workload.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	workload.Spec.Template.Labels, workload.Spec.Template.Spec = labels, podSpec()
	_, err := c.client.AppsV1().Deployments(name).Create(ctx, workload, metav1.CreateOptions{})
	if err != nil {
		return r, fmt.Errorf("create deployment %s in %s: %w", deployment, name, err)
	}
	return r, r.createSingle(ctx)
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{TerminationGracePeriodSeconds: new(int64),
		Containers: []corev1.Container{{Name: container, Image: image, Command: []string{"sleep", "86400"}}}}
}

// createSingle creates the pod by itself. A new namespace refuses pods until it has a service account.
func (r *room) createSingle(ctx context.Context) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: single}, Spec: podSpec()}
	return r.until(ctx, "pod "+single+" created", func(ctx context.Context) (bool, error) {
		_, err := r.client.CoreV1().Pods(r.name).Create(ctx, pod, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// ready waits until there are both pods, and no other ones.
func (r *room) ready(ctx context.Context) error {
	return r.until(ctx, "two pods ready", func(ctx context.Context) (bool, error) {
		pods, err := r.pods(ctx)
		r.own = map[types.UID]bool{}
		for _, pod := range pods {
			if pod.DeletionTimestamp != nil || !isReady(pod) {
				return false, nil
			}
			r.own[pod.UID] = true
		}
		return len(pods) == 2, err
	})
}

func isReady(pod corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// renew replaces both pods by new ones.
func (r *room) renew(ctx context.Context) error {
	old := r.own
	err := r.client.CoreV1().Pods(r.name).DeleteCollection(ctx, soon(), metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("delete the pods of %s: %w", r.name, err)
	}
	err = r.until(ctx, "the pods deleted", func(ctx context.Context) (bool, error) {
		pods, err := r.pods(ctx)
		for _, pod := range pods {
			if old[pod.UID] {
				return false, nil
			}
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	if err := r.createSingle(ctx); err != nil {
		return err
	}
	return r.ready(ctx)
}

// left says what became of what a command has made, right after its end.
func (r *room) left(ctx context.Context, joined bool) (string, error) {
	pods, err := r.pods(ctx)
	if err != nil {
		return "", err
	}
	if joined {
		return r.joined(ctx)
	}
	for _, pod := range pods {
		switch {
		case r.own[pod.UID]:
		case pod.DeletionTimestamp != nil:
			return "pod being deleted", nil
		default:
			return "pod left", nil
		}
	}
	return "nothing left", nil
}

// joined says whether the ephemeral containers end within a time in which the kubelet says so.
func (r *room) joined(ctx context.Context) (string, error) {
	ended := func(ctx context.Context) (bool, error) {
		pods, err := r.pods(ctx)
		for _, pod := range pods {
			for _, status := range pod.Status.EphemeralContainerStatuses {
				if status.State.Terminated == nil {
					return false, nil
				}
			}
		}
		return err == nil, err
	}
	err := wait.PollUntilContextTimeout(ctx, interval, endTime, true, ended)
	if wait.Interrupted(err) {
		return "container runs", ctx.Err()
	}
	return "container ended", err
}

// tidy deletes what a command has left, and waits until it is gone: the next one is timed on a quiet machine.
func (r *room) tidy(ctx context.Context) error {
	deleted := map[types.UID]bool{}
	return r.until(ctx, "only its own pods left", func(ctx context.Context) (bool, error) {
		pods, err := r.pods(ctx)
		if err != nil {
			return false, err
		}
		others := 0
		for _, pod := range pods {
			if r.own[pod.UID] {
				continue
			}
			others++
			if deleted[pod.UID] || pod.DeletionTimestamp != nil {
				continue
			}
			deleted[pod.UID] = true
			err := r.client.CoreV1().Pods(r.name).Delete(ctx, pod.Name, soon())
			if err != nil && !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return others == 0, nil
	})
}

func (r *room) pods(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := r.client.CoreV1().Pods(r.name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s: %w", r.name, err)
	}
	return pods.Items, nil
}

func (r *room) until(ctx context.Context, what string, met wait.ConditionWithContextFunc) error {
	if err := wait.PollUntilContextTimeout(ctx, interval, patience, true, met); err != nil {
		return fmt.Errorf("namespace %s, waiting for %s: %w", r.name, what, err)
	}
	return nil
}

// soon deletes a pod in a second. Without any time of grace it is gone at once, for the API server, while the
// kubelet still ends it, beside what is timed next.
func soon() metav1.DeleteOptions { return metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))} }
