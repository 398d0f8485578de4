package session

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// ErrNoShell means that the container has no sh for the holder or the gate.
var ErrNoShell = errors.New("the image has no shell (sh) in its PATH")

// start is how far a container has come.
type start struct {
	waiting    string // what it waits for, with the server's words; empty: it waits no longer
	subject    string // the container that is waited for; empty: the pod
	next       string // what to type if that takes too long; empty: wait longer
	unlikely   bool   // to run soon, because the image cannot be pulled; but the kubelet goes on trying
	terminated *corev1.ContainerStateTerminated
	err        error  // why it will never run
	logs       string // the container whose log may say more, if any
}

// diagnose reads a pod's status: it is all that the session knows while it waits. Every kind of
// failure is a row of docs/troubleshooting.md.
func diagnose(pod *corev1.Pod, container string) start {
	status := statusOf(pod, container)
	switch {
	case status != nil && status.State.Running != nil:
		return start{}
	case status != nil && status.State.Terminated != nil:
		return ended(pod, status)
	case pod.DeletionTimestamp != nil:
		return start{err: beingDeleted(pod)}
	case pod.Status.Phase == corev1.PodFailed:
		return failed(pod, initializing(pod, container))
	}
	subject := container
	if unfinished := initializing(pod, container); unfinished != nil {
		if s, told := initStart(pod, unfinished); told {
			return s
		}
		subject = unfinished.Name
	}
	if status != nil && status.State.Waiting != nil && !blank(status.State.Waiting.Reason) {
		return held(pod, status)
	}
	return beforeStart(pod, subject)
}

func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == container {
				return &statuses[i]
			}
		}
	}
	return nil
}

// blank reports the reasons that say nothing about what is being waited for.
func blank(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}

// ended tells a process that has run from one that could not be started.
func ended(pod *corev1.Pod, status *corev1.ContainerStatus) start {
	end := status.State.Terminated
	if notStarted(end) {
		return start{err: notStartable(pod, status, end.Message)}
	}
	return start{terminated: end}
}

func notStarted(end *corev1.ContainerStateTerminated) bool {
	return end.Reason == "StartError" || end.Reason == "ContainerCannotRun"
}

// notStartable reads the runtime's words: a shell that is not there is not the user's mistake.
func notStartable(pod *corev1.Pod, status *corev1.ContainerStatus, words string) error {
	if strings.Contains(words, noShellWords) {
		return fmt.Errorf("container %s: %w: %s", status.Name, ErrNoShell, status.Image)
	}
	return containerError(pod, status.Name, words)
}

const noShellWords = `exec: "sh": executable file not found`

// containerError is the kubelet's or the runtime's word about a container, with what to type next.
func containerError(pod *corev1.Pod, container, words string) error {
	next := remedy(pod, container, words)
	if next == "" {
		next = eventsOf(pod)
	}
	return hint.Errorf(next, "%s: %s", kindAndName(pod, container), words)
}

// held reads a reason of the kubelet's for not starting a container. Most do not heal while
// somebody waits: they end at once. A registry may come back, and so may a cache of the kubelet's.
func held(pod *corev1.Pod, status *corev1.ContainerStatus) start {
	reason, message := status.State.Waiting.Reason, status.State.Waiting.Message
	words := reason
	if message != "" {
		words += ": " + message
	}
	waits := start{waiting: kindAndName(pod, status.Name) + ": " + words, subject: status.Name}
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable":
		return unpulled(pod, status, words)
	case "InvalidImageName", "ErrImageNeverPull", "ImageInspectError":
		return start{err: hint.Errorf(anotherImage(pod, status.Name), "%s: image %s: %s", kindAndName(pod, status.Name), status.Image, words)}
	case "CreateContainerConfigError", "CreateContainerError":
		if strings.Contains(message, "failed to sync") {
			return waits
		}
	case "RunContainerError": // the runtime's words for what a clone's container ends with as StartError
		return start{err: notStartable(pod, status, words)}
	case "PreCreateHookError", "CrashLoopBackOff":
	default:
		return waits
	}
	return start{err: containerError(pod, status.Name, words)}
}

// beforeStart says what a pod without news from its containers waits for, by its conditions:
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
func beforeStart(pod *corev1.Pod, subject string) start {
	node := pod.Spec.NodeName
	if scheduled := condition(pod, corev1.PodScheduled); scheduled == nil || scheduled.Status != corev1.ConditionTrue {
		return unscheduled(pod, scheduled)
	}
	if pod.Status.StartTime == nil { // the kubelet's first word
		return start{waiting: "node " + node + " to take the pod", next: describeNode(node)}
	}
	if ready := condition(pod, corev1.PodReadyToStartContainers); ready != nil && ready.Status == corev1.ConditionFalse {
		return start{waiting: "volumes and network on node " + node, next: eventsOf(pod)}
	}
	image := ""
	if spec := specOf(pod, subject); spec != nil {
		image = spec.Image
	}
	return start{waiting: "image " + image + " to be pulled and started", subject: subject}
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// specOf is what the pod says of a container of any kind, or nil.
func specOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == name {
				return &containers[i]
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if c := (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon); c.Name == name {
			return c
		}
	}
	return nil
}
