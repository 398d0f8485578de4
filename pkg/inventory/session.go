package inventory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Session is one session, as its clone and its lease show it. Its name is that of an object: a clone's is its
// pod's, and a debug session's, or that of one whose pod was not found, is its lease's. Where a pod was found,
// pod and container are what it is and has. Only of a debug session they come from annotations of its lease:
// RefreshStates looks whether they are true.
type Session struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Mode      string `json:"mode"`
	Source    string `json:"source,omitempty"` // deployment/api
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	// the Job's name; empty: the session has none, or it may not be read
	Lease   string       `json:"lease,omitempty"`
	State   State        `json:"state"`
	Created metav1.Time  `json:"created"`
	Ends    *metav1.Time `json:"ends,omitempty"` // at the latest; nil: not known
	Kept    string       `json:"kept,omitempty"` // "fixed", "detached", or empty: by its client
	User    string       `json:"user,omitempty"`
	Reason  string       `json:"reason,omitempty"`

	pod *corev1.Pod
	job *batchv1.Job
}

// State is how far a session is. That of a debug session is its lease's until RefreshStates: its pod is not
// ours, and no list of ours finds it.
type State string

// The states of a session.
const (
	Starting State = "Starting"
	Running  State = "Running"
	Ending   State = "Ending" // is being deleted
	Ended    State = "Ended"
	Unknown  State = "Unknown" // the pod may not be read
)

// modeClone and modeDebug are what a lease says of its session.
const (
	modeClone = "clone"
	modeDebug = "debug"
)

// session describes a clone, a lease, or both.
func (i *Inventory) session(pod *corev1.Pod, job *batchv1.Job) Session {
	s := Session{Mode: modeClone, pod: pod, job: job}
	if pod != nil {
		s.Name, s.Namespace, s.Pod, s.Created = pod.Name, pod.Namespace, pod.Name, pod.CreationTimestamp
		s.Container, s.Ends = shell(pod), podEnds(pod)
		s.describe(pod.Annotations)
	}
	if job != nil {
		s.Lease, s.Namespace, s.Created = job.Name, job.Namespace, job.CreationTimestamp
		s.Ends = lease.Expires(job)
		s.describe(job.Annotations)
		s.Kept = job.Annotations[owned.KeptAnnotation]
	}
	if pod == nil {
		s.Name = s.Lease
		if job.Annotations[owned.ModeAnnotation] == modeDebug {
			s.Mode, s.Pod = modeDebug, job.Annotations[owned.PodAnnotation]
			s.Container = owned.ContainerName(job.Labels[owned.SessionLabel])
		}
	}
	s.State = i.state(s)
	return s
}

// describe takes over what annotations say and nothing said before.
func (s *Session) describe(annotations map[string]string) {
	s.Kept = cmp.Or(s.Kept, annotations[owned.KeptAnnotation])
	s.User = cmp.Or(s.User, annotations[owned.UserAnnotation])
	s.Reason = cmp.Or(s.Reason, annotations[owned.ReasonAnnotation])
	kind, name := annotations[owned.SourceKindAnnotation], annotations[owned.SourceNameAnnotation]
	if s.Source == "" && kind != "" && name != "" {
		s.Source = strings.ToLower(kind) + "/" + name
	}
}

// state prefers what the pod says: a lease knows only that somebody renews it.
func (i *Inventory) state(s Session) State {
	switch {
	case s.pod != nil:
		return podState(s.pod, s.Container)
	case s.job.DeletionTimestamp != nil:
		return Ending
	case lease.HasEnded(s.job):
		return Ended
	case s.job.Annotations[owned.PodAnnotation] == "": // it comes with the first renewal, once there is a pod
		return Starting
	case s.Mode == modeDebug:
		return Running
	case !i.podsRead:
		return Unknown
	}
	return Ended
}

// atOnce is how many requests are under way at the same time: a server has others to serve.
const atOnce = 10

// RefreshStates asks the pods of the debug sessions how their containers are. A lease knows nothing of a
// container, and may outlive it. A container that is not there, or that eshell did not make, is none: then the
// session has ended. The state is Unknown where the pod cannot be read.
func RefreshStates(ctx context.Context, client kubernetes.Interface, sessions []Session) {
	workqueue.ParallelizeUntil(ctx, atOnce, len(sessions), func(n int) {
		if s := &sessions[n]; s.Mode == modeDebug && s.State == Running {
			s.State = inside(ctx, client, *s)
		}
	})
}

func inside(ctx context.Context, client kubernetes.Interface, s Session) State {
	pod, err := client.CoreV1().Pods(s.Namespace).Get(ctx, s.Pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Ended
	}
	if err != nil {
		return Unknown
	}
	for _, c := range pod.Spec.EphemeralContainers {
		if c.Name == s.Container && agent.IsOurs(slices.Concat(c.Command, c.Args)) {
			return podState(pod, s.Container)
		}
	}
	return Ended
}

func podState(pod *corev1.Pod, container string) State {
	state := cmp.Or(containers.Status(pod, container), &corev1.ContainerStatus{}).State
	switch {
	case pod.DeletionTimestamp != nil:
		return Ending
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed,
		state.Terminated != nil:
		return Ended
	case state.Running != nil:
		return Running
	}
	return Starting
}

// shell is the container that the session is in: the one that reads its client's input. A detached clone has no
// client, and names the container in an annotation.
func shell(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.StdinOnce || c.Name == pod.Annotations[owned.ContainerAnnotation] {
			return c.Name
		}
	}
	return ""
}

// Unattended is a session in debug mode whose process no client ends, and no lease.
func (s Session) Unattended() bool { return s.Mode == modeDebug && s.Kept == owned.Detached }

// podEnds is when Kubernetes ends the pod. It counts from when the kubelet took the pod, if one has.
func podEnds(pod *corev1.Pod) *metav1.Time {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return nil
	}
	start := pod.CreationTimestamp
	if pod.Status.StartTime != nil {
		start = *pod.Status.StartTime
	}
	return new(metav1.NewTime(start.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second)))
}

// Toolbox is the image that the session's clone has its shell from (--toolbox), or "".
func (s Session) Toolbox() string {
	if s.pod != nil {
		if toolbox := containers.Spec(s.pod, owned.ToolboxName); toolbox != nil {
			return toolbox.Image
		}
	}
	return ""
}

// EphemeralContainer is one that was added to a pod, by us or by others.
type EphemeralContainer struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Target  string   `json:"target,omitempty"`  // the container whose processes it sees
	Command []string `json:"command,omitempty"` // with its arguments; empty: the image's own
	// Waiting, Running or Terminated, or Kubernetes' reason for it
	State    string       `json:"state"`
	ExitCode *int32       `json:"exitCode,omitempty"`
	Started  *metav1.Time `json:"started,omitempty"`
}

// Ephemeral lists the ephemeral containers of a pod in the order in which they were added. Nothing
// says when one was added; it says when it started.
func Ephemeral(ctx context.Context, client kubernetes.Interface, namespace,
	name string) ([]EphemeralContainer, error) {
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("pod/%s in namespace %s: %w", name, namespace, err)
	}
	listed := []EphemeralContainer{}
	for _, c := range pod.Spec.EphemeralContainers {
		e := EphemeralContainer{Name: c.Name, Image: c.Image, Target: c.TargetContainerName,
			Command: slices.Concat(c.Command, c.Args), State: "Waiting"}
		state := cmp.Or(containers.Status(pod, c.Name), &corev1.ContainerStatus{}).State
		switch {
		case state.Running != nil:
			e.State, e.Started = "Running", &state.Running.StartedAt
		case state.Terminated != nil:
			e.State = cmp.Or(state.Terminated.Reason, "Terminated")
			e.ExitCode, e.Started = &state.Terminated.ExitCode, &state.Terminated.StartedAt
		case state.Waiting != nil && state.Waiting.Reason != "":
			e.State = state.Waiting.Reason
		}
		listed = append(listed, e)
	}
	return listed, nil
}
