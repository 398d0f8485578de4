package target

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// livePod returns the workload's newest ready pod and how many ready ones there are; for a pod it
// is the pod itself and 0.
func livePod(ctx context.Context, client kubernetes.Interface, namespace string, w workload) (*corev1.Pod, int, error) {
	if w.pod != nil {
		return w.pod, 0, nil
	}
	if w.selector == nil {
		if len(w.jobs) == 0 {
			return nil, 0, hint.Errorf("leave out --mode debug for a clone", "no job of it is active, so there is no pod to debug")
		}
		job, err := getJob(ctx, client, namespace, w.jobs[len(w.jobs)-1])
		if err != nil {
			return nil, 0, err
		}
		w = job
	}
	selector, err := metav1.LabelSelectorAsSelector(w.selector)
	if err != nil {
		return nil, 0, fmt.Errorf("its selector: %w", err)
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, 0, err
	}
	pod, ready := newestReady(pods.Items)
	if pod == nil {
		return nil, 0, hint.Errorf("leave out --mode debug for a clone, or name a pod: kubectl get pods -n "+namespace+" -l '"+selector.String()+"'",
			"none of its %d pods is ready", len(pods.Items))
	}
	return pod, ready, nil
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
