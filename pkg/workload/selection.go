package workload

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// PodSelection is which of a workload's pods is debugged.
type PodSelection string

// These are the values of PodSelection. The empty value is PodNewest or, if no pod is ready, the most broken
// one.
const (
	PodNewest   PodSelection = "newest"   // the newest one that is ready
	PodOldest   PodSelection = "oldest"   // the oldest one that is ready
	PodUnready  PodSelection = "unready"  // the newest one that is not ready
	PodCrashing PodSelection = "crashing" // of those with a container that fails, the most broken one
)

// selected is a pod that was selected from a workload's pods, and why in words.
type selected struct {
	pod *corev1.Pod
	why string
}

// selectPod returns one of a workload's pods, or an error that says what there is.
func selectPod(pods []corev1.Pod, by PodSelection) (selected, error) {
	var ready, unready, failing []*corev1.Pod
	for i := range pods {
		pod := &pods[i]
		isReady := podutils.IsPodReady(pod)
		if pod.DeletionTimestamp != nil || !isReady && !hasNode(pod) {
			continue
		}
		if isReady {
			ready = append(ready, pod)
		} else {
			unready = append(unready, pod)
		}
		if why, restarts := failure(pod); why != "" || restarts > 0 {
			failing = append(failing, pod)
		}
	}
	for _, list := range [][]*corev1.Pod{ready, unready, failing} {
		slices.SortStableFunc(list, func(a, b *corev1.Pod) int {
			return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
		})
	}
	switch {
	case by == PodUnready && len(unready) > 0:
		return selected{unready[0], "the newest of " + count(unready, "that is not ready",
			"that are not ready")}, nil
	case by == PodUnready:
		return selected{}, fmt.Errorf("none of its %s on a node is unready", count(ready, "", ""))
	case by == PodCrashing && len(failing) > 0:
		return mostBroken(failing, count(failing, "that fails", "that fail")), nil
	case by == PodCrashing:
		return selected{}, fmt.Errorf("none of its %s on a node fails",
			count(append(ready, unready...), "", ""))
	case len(ready) > 0 && by == PodOldest:
		return selected{ready[len(ready)-1], fmt.Sprintf("the oldest of %d ready %s", len(ready),
			words.Plural(len(ready), "pod", "pods"))}, nil
	case len(ready) > 0:
		return selected{ready[0], fmt.Sprintf("the newest of %d ready %s", len(ready),
			words.Plural(len(ready), "pod", "pods"))}, nil
	case by == "" && len(unready) > 0:
		return mostBroken(unready, count(unready, "that is not ready", "that are not ready")), nil
	case len(pods) == 0:
		return selected{}, errors.New("it has no pod")
	}
	return selected{}, fmt.Errorf("none of its %d %s is ready", len(pods),
		words.Plural(len(pods), "pod", "pods"))
}

// count returns how many pods there are, and what they are.
func count(pods []*corev1.Pod, is, are string) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", len(pods), words.Plural(len(pods), "pod", "pods"),
		words.Plural(len(pods), is, are)))
}

// mostBroken returns the pod with a container that cannot start or, among equals, the most restarts.
func mostBroken(pods []*corev1.Pod, of string) selected {
	pod := slices.MaxFunc(pods, func(a, b *corev1.Pod) int {
		aWhy, aRestarts := failure(a)
		bWhy, bRestarts := failure(b)
		return cmp.Or(cmp.Compare(min(len(aWhy), 1), min(len(bWhy), 1)), cmp.Compare(aRestarts, bRestarts))
	})
	why, restarts := failure(pod)
	why = strings.TrimSpace(fmt.Sprintf("%s with %d %s", why, restarts,
		words.Plural(int(restarts), "restart", "restarts")))
	return selected{pod, fmt.Sprintf("the most broken, %s, of %s", why, of)}
}

// hasNode reports whether a pod is on a node and has not ended: only there can a container be added to it.
func hasNode(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodSucceeded &&
		pod.Status.Phase != corev1.PodFailed
}

// failure returns why a container of a pod does not run, if it should and that is no mere wait, and how often
// its containers have been started again.
func failure(pod *corev1.Pod) (why string, restarts int32) {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		restarts += status.RestartCount
		waiting, ended := status.State.Waiting, status.State.Terminated
		switch {
		case why != "":
		case waiting != nil && !slices.Contains([]string{"", "ContainerCreating", "PodInitializing"},
			waiting.Reason):
			why = waiting.Reason
		case ended != nil && ended.ExitCode != 0:
			why = cmp.Or(ended.Reason, "Error")
		}
	}
	return why, restarts
}
