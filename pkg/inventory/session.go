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
	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Session is one session, as its lease and its clone describe it. Its name is one word. A clone has the name
// of its pod. A debug session, or one whose pod does not exist yet, has the name of its lease. In debug mode
// this is also the container's name.
type Session struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Mode      string `json:"mode"`
	Source    string `json:"source,omitempty"` // deployment/api
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	// Lease is the Job's name. It is empty if the session has no lease or the lease could not be read.
	Lease   string       `json:"lease,omitempty"`
	State   State        `json:"state"`
	Created metav1.Time  `json:"created"`
	Ends    *metav1.Time `json:"ends,omitempty"` // at the latest; nil if not known
	// Heard is when the session's client was last heard. It is nil if the session has none, or no lease.
	Heard  *metav1.Time `json:"heard,omitempty"`
	Kept   string       `json:"kept,omitempty"` // "fixed", "detached", or empty if its client keeps it
	User   string       `json:"user,omitempty"`
	Reason string       `json:"reason,omitempty"`

	pod *corev1.Pod
	job *batchv1.Job

	waits   bool // the process of its container is one that waits to be told to end
	scripts bool // its container has all scripts of this release; never so in debug mode
}

// State is the state of a session. Until RefreshStates, a debug session has the state of its lease, because
// its pod is not ours and is not in our lists.
type State string

// The states of a session.
const (
	Starting State = "Starting"
	Running  State = "Running"
	Ending   State = "Ending" // it is being deleted
	Ended    State = "Ended"
	Deleted  State = "Deleted" // its clone is gone, and its lease is not
	Unknown  State = "Unknown" // the pod could not be read
)

// modeClone and modeDebug are the modes that a lease states for its session.
const (
	modeClone = "clone"
	modeDebug = "debug"
)

// session makes a Session from a clone, a lease, or both.
func (i *Inventory) session(pod *corev1.Pod, job *batchv1.Job) Session {
	s := Session{Mode: modeClone, pod: pod, job: job}
	if pod != nil {
		s.Name, s.Namespace, s.Pod, s.Created = pod.Name, pod.Namespace, pod.Name, pod.CreationTimestamp
		s.Container, s.Ends = shell(pod), podEnds(pod)
		s.scripts = pod.Annotations[owned.ScriptsAnnotation] == agent.AllScripts()
	}
	if job != nil {
		s.Lease, s.Namespace, s.Created = job.Name, job.Namespace, job.CreationTimestamp
		s.Ends = lease.Expires(job)
		s.describe(job.Annotations)
	}
	if pod != nil {
		s.describe(pod.Annotations)
	}
	if pod != nil && job != nil && s.User != cmp.Or(pod.Annotations[owned.UserAnnotation], s.User) {
		s.User = "" // one of the two has been changed
	}
	if pod == nil {
		s.Name = s.Lease
		if job.Annotations[owned.ModeAnnotation] == modeDebug {
			s.Mode, s.Pod = modeDebug, job.Annotations[owned.PodAnnotation]
			s.Container = owned.ContainerName(job.Labels[owned.SessionLabel])
		}
	}
	if job != nil && s.Kept == "" {
		s.Heard = lease.LastRenewed(job)
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

// state prefers the state of the pod, because a lease only shows that somebody renews it.
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
	return Deleted
}

// atOnce is how many requests are under way at the same time: a server has others to serve.
const atOnce = 10

// RefreshStates asks the pods of the debug sessions how their containers are. A lease knows nothing of a
// container, and may outlive it. A container that is not there, or that eshell did not make, is none: then
// the session has ended. The state is Unknown where the pod cannot be read.
func RefreshStates(ctx context.Context, client kubernetes.Interface, sessions []Session) {
	workqueue.ParallelizeUntil(ctx, atOnce, len(sessions), func(n int) {
		if s := &sessions[n]; s.Mode == modeDebug && s.State == Running {
			inside(ctx, client, s)
		}
	})
}

// inside sets what the session's container in its pod shows.
func inside(ctx context.Context, client kubernetes.Interface, s *Session) {
	pod, err := client.CoreV1().Pods(s.Namespace).Get(ctx, s.Pod, metav1.GetOptions{})
	s.State = Ended
	if err != nil && !apierrors.IsNotFound(err) {
		s.State = Unknown
	}
	if err != nil {
		return
	}
	for _, c := range pod.Spec.EphemeralContainers {
		command, scripts := slices.Concat(c.Command, c.Args), scriptsOf(c.Env)
		if c.Name == s.Container && agent.IsOurs(command, scripts) {
			s.State, s.waits = podState(pod, s.Container), agent.IsIdler(command, scripts) && !c.StdinOnce
		}
	}
}

// scriptsOf returns the scripts in the environment of a debug container, or "".
func scriptsOf(env []corev1.EnvVar) string {
	for _, v := range env {
		if v.Name == agent.ScriptsVariable {
			return v.Value
		}
	}
	return ""
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

// shell returns the container that the session is in, which is the one that reads its client's input. A
// detached clone has no client, and its annotation names the container.
func shell(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.StdinOnce || c.Name == pod.Annotations[owned.ContainerAnnotation] {
			return c.Name
		}
	}
	return ""
}

// WaitsToEnd reports whether the session's container has to be told to end, because no client and no lease
// ends it. RefreshStates has found that out: what annotations say would end somebody else's.
func (s Session) WaitsToEnd() bool { return s.Unattended() && s.waits }

// Unattended reports whether this is a debug session whose process is ended by no client and no lease.
func (s Session) Unattended() bool { return s.Mode == modeDebug && s.Kept == owned.Detached }

// podEnds returns when Kubernetes ends the pod, or nil if it has no deadline. The deadline counts from when
// the kubelet took the pod, or from the pod's creation if none has.
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

// Toolbox returns the image from which the session's clone has its shell (--toolbox), or "".
func (s Session) Toolbox() string {
	if s.pod != nil {
		if toolbox := containers.Spec(s.pod, owned.ToolboxName); toolbox != nil {
			return toolbox.Image
		}
	}
	return ""
}

// HasScripts reports whether the environment of the session's container has all scripts of this release. A
// debug container has only those that its own session uses.
func (s Session) HasScripts() bool { return s.scripts }

// EphemeralContainer is an ephemeral container that was added to a pod, by us or by others.
type EphemeralContainer struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Target  string   `json:"target,omitempty"`  // the container whose processes it sees
	Command []string `json:"command,omitempty"` // with its arguments; empty for the image's own
	// State is Waiting, Running or Terminated, or Kubernetes' reason for that state.
	State    string       `json:"state"`
	ExitCode *int32       `json:"exitCode,omitempty"`
	Started  *metav1.Time `json:"started,omitempty"`
}

// Ephemeral lists the ephemeral containers of a pod in the order in which they were added. Kubernetes does
// not record when a container was added, only when it started.
func Ephemeral(ctx context.Context, client kubernetes.Interface, namespace,
	name string) ([]EphemeralContainer, error) {
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("pod/%s in namespace %s: %w", name, namespace, err)
	}
	listed := []EphemeralContainer{}
	for n, c := range ephemeral.Containers(pod) {
		spec := pod.Spec.EphemeralContainers[n]
		e := EphemeralContainer{Name: c.Name, Image: c.Image, Target: c.Target,
			Command: slices.Concat(spec.Command, spec.Args), State: cmp.Or(c.Reason, string(c.State)),
			ExitCode: c.ExitCode}
		if !c.Started.IsZero() {
			e.Started = new(metav1.NewTime(c.Started))
		}
		listed = append(listed, e)
	}
	return listed, nil
}
