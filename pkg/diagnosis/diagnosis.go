// Package diagnosis finds out why a pod does not start or why it ended. It reads the pod's status and the
// server's refusal to create the pod. It returns the message and the next command to type. It makes no
// requests.
package diagnosis

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// ErrNoShell means that the container has no sh to run the holder or the gate.
var ErrNoShell = errors.New("the image has no shell (sh) in its PATH")

// ErrTargetEnded means that a debug container could not share the processes of its target, because that no
// longer ran.
var ErrTargetEnded = errors.New("its target no longer runs")

// Status is the progress of a container.
type Status struct {
	Waiting    string // what it waits for, as the server describes it; empty if it no longer waits
	Subject    string // the container that is waited for; empty for the pod
	Next       string // the command to type if that takes too long; empty means to wait longer
	Retrying   bool   // the image could not be pulled; the kubelet keeps trying
	Trouble    bool   // something is wrong that might last
	InEvents   bool   // if something is wrong, only the pod's events say what
	Terminated *corev1.ContainerStateTerminated
	Err        error  // why it will never run
	Logs       string // the container whose log may explain more, if any
}

// Of reads the status of a pod's container. Each kind of failure is a row in docs/troubleshooting.md.
func Of(pod *corev1.Pod, container string) Status {
	status := containers.Status(pod, container)
	switch {
	case status != nil && status.State.Running != nil:
		return Status{}
	case status != nil && status.State.Terminated != nil:
		end := status.State.Terminated
		if notStarted(end) {
			return Status{Err: notStartable(pod, status, end.Message)}
		}
		return Status{Terminated: end}
	case pod.DeletionTimestamp != nil:
		return Status{Err: beingDeleted(pod)}
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
		return waiting(pod, status)
	}
	return beforeStart(pod, subject)
}

// blank reports whether a reason says nothing about what is being waited for.
func blank(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}

func notStarted(end *corev1.ContainerStateTerminated) bool {
	return end.Reason == "StartError" || end.Reason == "ContainerCannotRun"
}

// notStartable returns the error for the runtime's message. A missing shell has an error of its own, because
// it is not the user's mistake.
func notStartable(pod *corev1.Pod, status *corev1.ContainerStatus, words string) error {
	if strings.Contains(words, noShellWords) {
		return fmt.Errorf("container %s: %w: %s", status.Name, ErrNoShell, status.Image)
	}
	return containerError(pod, status.Name, words)
}

const noShellWords = `exec: "sh": executable file not found`

// LacksShell reports whether a container of the pod that runs an image has shown that the image has no shell.
func LacksShell(pod *corev1.Pod, image string) bool {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses,
		pod.Status.EphemeralContainerStatuses) {
		spec := containers.Spec(pod, status.Name)
		if spec == nil || spec.Image != image {
			continue
		}
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if state.Terminated != nil && strings.Contains(state.Terminated.Message, noShellWords) ||
				state.Waiting != nil && strings.Contains(state.Waiting.Message, noShellWords) {
				return true
			}
		}
	}
	return false
}

// targetEnded matches the words of containerd and of runc about a container whose processes they cannot
// share.
var targetEnded = regexp.MustCompile(
	`invalid target container: |namespace path: lstat /proc/\d+/ns/pid: no such file`)

// containerError returns the kubelet's or the runtime's message about a container, with the next command to
// type.
func containerError(pod *corev1.Pod, container, words string) error {
	if targetEnded.MatchString(words) {
		return hint.Wrap(fmt.Errorf("%s: %w: %s", kindAndName(pod, container), ErrTargetEnded, words),
			eventsOf(pod))
	}
	return hint.Wrap(fmt.Errorf("%s: %s", kindAndName(pod, container), words),
		cmp.Or(Hint(pod, container, words), eventsOf(pod)))
}

// waiting interprets the kubelet's reason for not starting a container. Most reasons do not go away while
// somebody waits, so they end the wait at once. A registry may come back, and so may one of the kubelet's
// caches.
func waiting(pod *corev1.Pod, status *corev1.ContainerStatus) Status {
	reason, message := status.State.Waiting.Reason, status.State.Waiting.Message
	words := reason
	if message != "" {
		words += ": " + message
	}
	waits := Status{Waiting: kindAndName(pod, status.Name) + ": " + words, Subject: status.Name}
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable":
		return unpulled(pod, status, words)
	case "InvalidImageName", "ErrImageNeverPull", "ImageInspectError":
		return Status{Err: hint.Wrap(fmt.Errorf("%s: image %s: %s", kindAndName(pod, status.Name),
			status.Image, words), anotherImage(pod, status.Name))}
	case "CreateContainerConfigError", "CreateContainerError":
		if strings.Contains(message, "failed to sync") {
			return waits
		}
	case "RunContainerError": // the failure that ends a clone's container with StartError
		return Status{Err: notStartable(pod, status, words)}
	case "PreCreateHookError", "CrashLoopBackOff":
	default:
		return waits
	}
	return Status{Err: containerError(pod, status.Name, words)}
}

// beforeStart returns what a pod waits for while its containers report nothing. It reads the pod's
// conditions:
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
func beforeStart(pod *corev1.Pod, subject string) Status {
	node := pod.Spec.NodeName
	if scheduled := condition(pod, corev1.PodScheduled); scheduled.Status != corev1.ConditionTrue {
		return unscheduled(pod, scheduled.Message)
	}
	if pod.Status.StartTime == nil { // the kubelet sets this first
		return Status{Waiting: "node " + node + " to take the pod", Next: describeNode(node)}
	}
	if condition(pod, corev1.PodReadyToStartContainers).Status == corev1.ConditionFalse {
		return Status{Waiting: "volumes and network on node " + node, Next: eventsOf(pod), InEvents: true}
	}
	image := ""
	if spec := containers.Spec(pod, subject); spec != nil {
		image = spec.Image
	}
	return Status{Waiting: "image " + image + " to be pulled and started", Subject: subject}
}

// WithWarning adds an event's message to the status of a pod whose events say what is wrong.
func (s Status) WithWarning(pod *corev1.Pod, message string) Status {
	if message != "" && !strings.Contains(s.Waiting, message) {
		s.Trouble = true
		s.Waiting += ": " + message
		s.Next = cmp.Or(Hint(pod, s.Subject, message), s.Next)
	}
	return s
}

// IsMissing reports whether a message says that an object is not there. Waiting does not create it.
func IsMissing(message string) bool { return missingObject.MatchString(message) }

var missingObject = regexp.MustCompile(`(?i)(secret|configmap|persistentvolumeclaim) "[^"]+" not found`)

// condition returns the pod's condition of a kind, or an empty one if it has none.
func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return &corev1.PodCondition{}
}

// EndedEarly returns the status of a container whose process ended before anything could run beside it.
func EndedEarly(pod *corev1.Pod, container string, end *corev1.ContainerStateTerminated) Status {
	if pod.Status.Reason != "" { // the end of the container is only a consequence
		return Status{Terminated: end, Err: podFailed(pod)}
	}
	words := DescribeExit(pod, container, end)
	err := hint.Wrap(fmt.Errorf("container %s ended before the session began: %s", container, words),
		cmp.Or(Hint(pod, container, words), eventsOf(pod)))
	return Status{Terminated: end, Logs: container, Err: err}
}

// failed distinguishes a pod that failed because of its init container from one that its node or a controller
// gave up. In the second case, the states of the containers are only a consequence or are left over.
func failed(pod *corev1.Pod, unfinished *corev1.ContainerStatus) Status {
	if unfinished != nil && unfinished.State.Terminated != nil && pod.Status.Reason == "" {
		return initFailed(pod, unfinished, unfinished.State.Terminated)
	}
	return Status{Err: podFailed(pod)}
}

// podFailed returns the error for a pod that its node or a controller gave up: evicted, rejected, or lost
// with its node.
func podFailed(pod *corev1.Pod) error {
	why := cmp.Or(joined(pod.Status.Reason, pod.Status.Message), disruption(pod),
		"its status does not say why")
	return hint.Wrap(fmt.Errorf("pod/%s failed: %s", pod.Name, why), whereItWas(pod))
}

// beingDeleted returns the error for a pod that somebody else deletes. Kubernetes states the reason if it
// deletes the pod itself:
// https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
func beingDeleted(pod *corev1.Pod) error {
	if why := disruption(pod); why != "" {
		return hint.Wrap(fmt.Errorf("pod/%s is being deleted: %s", pod.Name, why), whereItWas(pod))
	}
	return hint.Wrap(fmt.Errorf("pod/%s is being deleted by somebody else", pod.Name), eventsOf(pod))
}

func disruption(pod *corev1.Pod) string {
	target := condition(pod, corev1.DisruptionTarget)
	if target.Status != corev1.ConditionTrue {
		return ""
	}
	return joined(target.Reason, target.Message)
}

// Deleted adds to err, which reports the end of a pod, what the pod's last version says about it.
func Deleted(pod *corev1.Pod, err error) error {
	if why := disruption(pod); why != "" {
		return hint.Wrap(fmt.Errorf("%w: %s", err, why), whereItWas(pod))
	}
	return hint.Wrap(err, eventsOf(pod))
}

func whereItWas(pod *corev1.Pod) string {
	if pod.Spec.NodeName == "" {
		return eventsOf(pod)
	}
	return describeNode(pod.Spec.NodeName)
}

func joined(reason, message string) string {
	return strings.TrimSuffix(strings.TrimPrefix(reason+": "+message, ": "), ": ")
}
