package workload

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// PodSelection is which of a workload's pods is debugged.
type PodSelection string

// These are the values of PodSelection. The empty value is PodNewest or, if no pod is ready, PodCrashing.
const (
	PodNewest   PodSelection = "newest"   // the newest one that is ready
	PodOldest   PodSelection = "oldest"   // the oldest one that is ready
	PodUnready  PodSelection = "unready"  // the newest one that is not ready
	PodCrashing PodSelection = "crashing" // the one that is not ready and has restarted most
)

// selected is a pod that was selected from a workload's pods, and why in words.
type selected struct {
	pod *corev1.Pod
	why string
}

// selectPod returns one of a workload's pods, or an error that says what there is.
func selectPod(pods []corev1.Pod, by PodSelection) (selected, error) {
	var ready, unready []*corev1.Pod
	for i := range pods {
		pod := &pods[i]
		switch {
		case pod.DeletionTimestamp != nil:
		case podutils.IsPodReady(pod):
			ready = append(ready, pod)
		case hasNode(pod):
			unready = append(unready, pod)
		}
	}
	if by == "" && len(ready) == 0 {
		by = PodCrashing
	}
	for _, list := range [][]*corev1.Pod{ready, unready} {
		slices.SortStableFunc(list, func(a, b *corev1.Pod) int {
			return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
		})
	}
	count := func(list []*corev1.Pod) string {
		return fmt.Sprintf("%d %s", len(list), words.Plural(len(list), "pod", "pods"))
	}
	switch {
	case by == PodUnready && len(unready) > 0:
		return selected{unready[0], "the newest of " + count(unready) + " that are not ready"}, nil
	case by == PodCrashing && len(unready) > 0:
		pod := slices.MaxFunc(unready,
			func(a, b *corev1.Pod) int { return cmp.Compare(restarts(a), restarts(b)) })
		return selected{pod, fmt.Sprintf("of %s that are not ready the one with most restarts, %d",
			count(unready), restarts(pod))}, nil
	case by == PodOldest && len(ready) > 0:
		return selected{ready[len(ready)-1], fmt.Sprintf("the oldest of %d ready pods", len(ready))}, nil
	case by != PodUnready && by != PodCrashing && len(ready) > 0:
		return selected{ready[0], fmt.Sprintf("the newest of %d ready pods", len(ready))}, nil
	case by == PodUnready || by == PodCrashing && len(ready) > 0:
		return selected{}, fmt.Errorf("each of its %d pods on a node is ready", len(ready))
	}
	return selected{}, fmt.Errorf("none of its %d pods is ready", len(pods))
}

// hasNode reports whether a pod is on a node and has not ended: only there can a container be added to it.
func hasNode(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodSucceeded &&
		pod.Status.Phase != corev1.PodFailed
}

// restarts returns how often the containers of a pod have been started again.
func restarts(pod *corev1.Pod) (sum int32) {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		sum += status.RestartCount
	}
	return sum
}
