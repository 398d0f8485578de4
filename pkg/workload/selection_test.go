package workload

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestSelectPod: which pod is debugged, and what is said of it.
func TestSelectPod(t *testing.T) {
	placed := func(p *corev1.Pod) { p.Spec.NodeName = "node1" }
	restarted := func(times int32) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: times}}
		}
	}
	ready := []corev1.Pod{*pod("old", placed), *pod("new", placed, born(2)), *pod("middle", placed, born(1))}
	broken := []corev1.Pod{*pod("once", placed, unready, restarted(1)),
		*pod("often", placed, unready, restarted(9), born(1)), *pod("fresh", placed, unready, born(2)),
		*pod("nowhere", unready, born(3)), *pod("leaving", placed, unready, deleting, restarted(99))}
	all := append(append([]corev1.Pod{}, ready...), broken...)
	waits := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
		}
	}
	flapping := []corev1.Pod{ready[0], *pod("flaps", placed, restarted(500)),
		*pod("starts", placed, unready, waits("PodInitializing"))}
	unpulled := append([]corev1.Pod{*pod("unpulled", placed, unready, waits("ImagePullBackOff"))}, broken...)
	const most = "the most broken, with 9 restarts, of 2 pods that fail"
	for _, tt := range []struct {
		name      string
		pods      []corev1.Pod
		by        PodSelection
		pod, says string
	}{
		{"as usual", all, "", "new", "the newest of 3 ready pods"},
		{"newest", all, PodNewest, "new", "the newest of 3 ready pods"},
		{"oldest", all, PodOldest, "old", "the oldest of 3 ready pods"},
		{"unready", all, PodUnready, "fresh", "the newest of 3 pods that are not ready"},
		{"crashing", all, PodCrashing, "often", most},
		{"none is ready", broken, "", "often", "the most broken, with 9 restarts, of 3 pods that are not ready"},
		{"one is ready between its crashes", flapping, PodCrashing, "flaps",
			"the most broken, with 500 restarts, of 1 pod that fails"},
		{"one cannot start", unpulled, "", "unpulled",
			"the most broken, ImagePullBackOff with 0 restarts, of 4 pods that are not ready"},
		{"none is ready, but one was asked for", broken, PodOldest, "", "none of its 5 pods is ready"},
		{"each is ready", ready, PodCrashing, "", "none of its 3 pods on a node fails"},
		{"none is on a node", broken[3:], "", "", "none of its 2 pods is ready"},
		{"none", nil, "", "", "it has no pod"},
	} {
		got, err := selectPod(tt.pods, tt.by)
		name, says := "", got.why
		if err != nil {
			says = err.Error()
		} else {
			name = got.pod.Name
		}
		if name != tt.pod || says != tt.says {
			t.Errorf("%s: pod %q, %q; want %q, %q", tt.name, name, says, tt.pod, tt.says)
		}
	}
}
