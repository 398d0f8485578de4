package session

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// pending is a clone's pod that has been scheduled; a test states its deviations.
func pending(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{NodeName: "node1", Containers: []corev1.Container{{Name: "app", Image: "api:1"}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
			{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		}},
	}
	pod.Name, pod.Namespace = "api-eshell-x7k2p", "shop"
	for _, c := range change {
		c(pod)
	}
	return pod
}

func withCondition(kind corev1.PodConditionType, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		c := condition(pod, kind)
		c.Status, c.Message = corev1.ConditionFalse, message
	}
}

func withWaiting(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "api:1",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func withInit(states ...corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for i, state := range states {
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses,
				corev1.ContainerStatus{Name: []string{"first", "second"}[i], Image: "init:1", State: state})
		}
		withWaiting("PodInitializing", "")(pod)
	}
}

func withEnd(reason, message string, status int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "api:1", State: terminatedBy(reason, message, status)}}
	}
}

func terminatedBy(reason, message string, status int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, Message: message, ExitCode: status}}
}

const noShell = `failed to create containerd task: OCI runtime create failed: exec: "sh": executable file not found in $PATH`

func TestDiagnose(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	tests := []struct {
		name    string
		pod     *corev1.Pod
		waiting string
		err     string
	}{
		{"not yet seen by the scheduler", pending(func(p *corev1.Pod) { p.Status.Conditions = nil }), "scheduling", ""},
		{"unschedulable", pending(withCondition(corev1.PodScheduled, "0/3 nodes are available")), "scheduling: 0/3 nodes are available", ""},
		{"sandbox", pending(withCondition(corev1.PodReadyToStartContainers, "")), "volumes and network on node node1", ""},
		{"pulling", pending(withWaiting("ContainerCreating", "")), "image api:1 to be pulled and started", ""},
		{"pull failed", pending(withWaiting("ErrImagePull", "dial tcp: refused")), "image api:1 could not be pulled yet: dial tcp: refused", ""},
		{"pull backs off", pending(withWaiting("ImagePullBackOff", `Back-off pulling image "api:1": ErrImagePull: dial tcp: refused`)), "image api:1 could not be pulled yet: dial tcp: refused", ""},
		{"pull will fail", pending(withWaiting("ImagePullBackOff", `Back-off pulling image "api:1": ErrImagePull: api:1: not found`)), "",
			`container app: image api:1: ImagePullBackOff: Back-off pulling image "api:1": ErrImagePull: api:1: not found`},
		{"bad name", pending(withWaiting("InvalidImageName", "couldn't parse")), "", "container app: InvalidImageName: couldn't parse"},
		{"no secret", pending(withWaiting("CreateContainerConfigError", `secret "x" not found`)), "", `container app: CreateContainerConfigError: secret "x" not found`},
		{"slow cache", pending(withWaiting("CreateContainerConfigError", "failed to sync secret cache: timed out")), "CreateContainerConfigError: failed to sync secret cache: timed out", ""},
		{"first init runs", pending(withInit(running, corev1.ContainerState{})), "init container first (1 of 2)", ""},
		{"second init runs", pending(withInit(terminatedBy("Completed", "", 0), running)), "init container second (2 of 2)", ""},
		{"init failed", pending(withInit(terminatedBy("Error", "no peers", 9))), "", "init container first failed: Error, exit status 9: no peers"},
		{"evicted", pending(func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "the node was low on memory"
		}), "", "pod/api-eshell-x7k2p failed: Evicted: the node was low on memory"},
		{"no shell", pending(withEnd("StartError", noShell, 128)), "", "container app: the image has no shell (sh) in its PATH: api:1"},
		{"no shell, debug", pending(withWaiting("RunContainerError", noShell)), "", "container app: the image has no shell (sh) in its PATH: api:1"},
		{"no such program", pending(withEnd("StartError", `exec: "/x": no such file`, 128)), "", `container app: exec: "/x": no such file`},
		{"has run", pending(withEnd("Completed", "", 0)), "", ""},
		{"runs", pending(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: running}}
		}), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := diagnose(tt.pod, "app")
			message := ""
			if got.err != nil {
				message = got.err.Error()
			}
			if got.waiting != tt.waiting || message != tt.err {
				t.Errorf("waiting %q, error %q; want %q, %q", got.waiting, message, tt.waiting, tt.err)
			}
			if has := got.terminated != nil; has != (tt.name == "has run") {
				t.Errorf("terminated: %t", has)
			}
		})
	}
}

func TestDiagnoseKnowsNoShell(t *testing.T) {
	for _, pod := range []*corev1.Pod{pending(withEnd("StartError", noShell, 128)), pending(withWaiting("RunContainerError", noShell))} {
		if err := diagnose(pod, "app").err; !errors.Is(err, ErrNoShell) {
			t.Errorf("%v is not ErrNoShell", err)
		}
	}
}
