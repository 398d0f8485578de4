package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// livePod returns the workload's newest ready pod and how many ready ones there are; for a pod it
// is the pod itself and 0.
func (s *search) livePod(ctx context.Context, w workload) (*corev1.Pod, int, error) {
	if w.pod != nil {
		return w.pod, 0, nil
	}
	if w.kind == "CronJob" && w.selector == nil {
		return nil, 0, hint.Wrap(fmt.Errorf("it has no active job, so there is no pod to debug"),
			"leave out --mode debug for a clone")
	}
	pods, err := s.podsOf(ctx, w)
	if err != nil {
		return nil, 0, err
	}
	pod, ready := newestReady(pods)
	if pod == nil {
		return nil, 0, hint.Wrap(fmt.Errorf("none of its %d pods is ready", len(pods)),
			"leave out --mode debug for a clone, or name a pod: "+s.getPods(w))
	}
	return pod, ready, nil
}

// podsOf lists the workload's pods; for a pod it is the pod alone. Of what is not in the cluster, and
// of a CronJob that no job of is active, there are none.
func (s *search) podsOf(ctx context.Context, w workload) ([]corev1.Pod, error) {
	if w.pod != nil {
		return []corev1.Pod{*w.pod}, nil
	}
	if w.selector == nil {
		if w.kind == "CronJob" || w.meta.UID == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("it has no selector to find its pods")
	}
	options, err := selecting(w)
	if err != nil {
		return nil, err
	}
	pods, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	return pods.Items, nil
}

// selecting asks for what a workload selects: never for everything, as an empty selector would.
func selecting(w workload) (metav1.ListOptions, error) {
	selector, err := metav1.LabelSelectorAsSelector(w.selector)
	if err != nil {
		return metav1.ListOptions{}, fmt.Errorf("its selector: %w", err)
	}
	if selector.Empty() {
		return metav1.ListOptions{}, fmt.Errorf("its selector is empty")
	}
	return metav1.ListOptions{LabelSelector: selector.String()}, nil
}

// getPods is the command that shows the workload's pods.
func (s *search) getPods(w workload) string {
	return "kubectl get pods -n " + s.Namespace + " -l '" + metav1.FormatLabelSelector(w.selector) + "'"
}

func newestReady(pods []corev1.Pod) (newest *corev1.Pod, ready int) {
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || !isReady(pod) {
			continue
		}
		ready++
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest, ready
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
