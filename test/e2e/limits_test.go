//go:build unix

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// struck is when the fault comes in these tests, and after a time so many seconds later.
var struck = time.Unix(1000, 0)

func after(seconds int) time.Time { return struck.Add(time.Duration(seconds) * time.Second) }

// joinedPod is a pod with a debug container, as it is in a snapshot of so many seconds after the fault.
func joinedPod(seconds int, image string, states ...corev1.ContainerState) snapshot {
	pod := &corev1.Pod{}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-debug", Image: image}}}
	for _, state := range states {
		pod.Status.EphemeralContainerStatuses = append(pod.Status.EphemeralContainerStatuses,
			corev1.ContainerStatus{Name: "eshell-debug", State: state})
	}
	return snapshot{at: after(seconds), pods: map[string]*corev1.Pod{"target": pod}}
}

func runningSince(seconds int) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(
		after(seconds))}}
}

// TestDeadline: no trial gets more time than docs/faults.md has for it, and what the machine needs.
func TestDeadline(t *testing.T) {
	clone := snapshot{at: after(31),
		pods: map[string]*corev1.Pod{
			"clone": {Status: corev1.PodStatus{
				ContainerStatuses: []corev1.ContainerStatus{{State: runningSince(30)}}}}}}
	reset := fault{status: ends(failedHere), cleansUp: true, answer: isLost}
	signalled, dead := sent("SIGTERM", syscall.SIGTERM), fault{status: ends(137)}
	debug := mode{debug: true}
	tests := []struct {
		name  string
		fault fault
		phase phase
		mode  mode
		seen  snapshot
		want  int // seconds after the fault
	}{
		{"the client cleans up", signalled, attached, mode{}, clone, 15 + 4},
		{"the client is dead", dead, attached, mode{}, clone, 50 + 4},
		{"a debug container that ran", dead, attached, debug, joinedPod(1, "bash", runningSince(-5)), 50 + 4},
		{"one that started later", dead, creating, debug, joinedPod(9, "bash", runningSince(8)), 8 + 50 + 2},
		{"one that its client waited for", reset, creating, debug, joinedPod(9, "bash", runningSince(3)),
			3 + 15 + 2},
		{"one that it did not wait for", reset, creating, debug, joinedPod(9, "bash", runningSince(8)),
			8 + 50 + 2},
		{"one that it waited for after the answer", signalled, creating, debug,
			joinedPod(9, "bash", runningSince(8)), 8 + 15 + 2},
		{"one that has not started", dead, creating, debug, joinedPod(20, "bash"), 20 + 50 + 2},
		{"one that never does", dead, creating, debug, joinedPod(200, "bash"), 60 + 50 + 2},
		{"the client cleans up a clone that no stream reaches", signalled, attaching, mode{}, clone, 15 + 4},
		{"it cannot clean up a debug container", signalled, attaching, debug,
			joinedPod(1, "bash", runningSince(-5)), 50 + 4},
		{"one without an image", signalled, waiting, debug, joinedPod(20, noImage), 15 + 4},
		{"one whose pod is gone", dead, creating, debug, snapshot{at: after(20)}, 50 + 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &machine{steps: []step{{"start of a pod", after(0), after(4)},
				{endOfPod, after(4), after(6)}}}
			x := &trial{suite: &suite{machine: m}, fault: &tt.fault, phase: tt.phase, mode: tt.mode,
				struck: struck, session: started{pod: "clone"}}
			if tt.mode.debug {
				x.session = started{pod: "target", container: "eshell-debug"}
			}
			if got := x.deadline(tt.seen).Sub(struck); got != time.Duration(tt.want)*time.Second {
				t.Errorf("%s after the fault, want %d s", got, tt.want)
			}
		})
	}
}

// TestLeft: what runs, and what is about to, is left of a session.
func TestLeft(t *testing.T) {
	pulling := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	inDebug := started{pod: "target", container: "eshell-debug"}
	withProcess := joinedPod(1, "bash", ended)
	withProcess.processes = map[string][]string{"id": {"12: sleep"}}
	withLease := joinedPod(1, "bash", ended)
	withLease.jobs = map[string]string{"eshell-debug": "{}"}
	tests := []struct {
		name    string
		seen    snapshot
		session started
		want    string // what it begins with; empty: nothing is left
	}{
		{"it runs", joinedPod(1, "bash", runningSince(0)), inDebug, "container eshell-debug"},
		{"it is about to run", joinedPod(1, "bash", pulling), inDebug, "container eshell-debug"},
		{"it has no status yet", joinedPod(1, "bash"), inDebug, "container eshell-debug"},
		{"it has no image", joinedPod(1, noImage, pulling), inDebug, ""},
		{"it has ended", joinedPod(1, "bash", ended), inDebug, ""},
		{"its pod is gone", snapshot{}, inDebug, ""},
		{"a process of it runs", withProcess, inDebug, "12: sleep"},
		{"its lease is there", withLease, inDebug, "job/eshell-debug"},
		{"a clone that has ended", snapshot{pods: map[string]*corev1.Pod{"clone": {}}}, started{pod: "clone"},
			"pod/clone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			left := strings.Join(tt.seen.left("id", tt.session), "\n")
			if tt.want == "" && left != "" || !strings.HasPrefix(left, tt.want) {
				t.Errorf("left is %q, want %q", left, tt.want)
			}
		})
	}
}
