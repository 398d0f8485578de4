// Package plan makes the decisions. From a workload and the user's options it builds the complete pod or
// ephemeral container, decides how its streams are opened, and notes every change. The package is pure: it
// has no client, no clock, no randomness and no printing. The same input gives the same plan.
package plan

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Mode is where the shell runs.
type Mode string

// The modes.
const (
	ModeClone Mode = "clone" // in a new pod made from the workload
	ModeDebug Mode = "debug" // in an ephemeral container of a running pod
)

// gracePeriod is how long a clone's processes get between TERM and KILL, in seconds. It is never 0, because
// that would free the pod's name and volumes before its processes are known to be gone.
const gracePeriod = 2

// Plan is everything that the session needs. Nothing in it is decided later.
type Plan struct {
	Headline  string // the session in one line
	Mode      Mode
	Notes     []Note
	Namespace string
	PodName   string
	Container string // the container whose streams are opened

	Pod       *corev1.Pod                // clone: the pod to create
	PodUID    types.UID                  // debug: the UID of the pod to join
	Ephemeral *corev1.EphemeralContainer // debug: the container to add to the pod

	// Joins reports that the command runs in a session that another client keeps.
	Joins bool

	Agent agent.Agent // what runs in the container, and how its client communicates with it

	// Record holds the annotations with which the lease describes the session.
	Record map[string]string
}

// InPod reports whether the session is a debug session, whose shell is in a pod that is not its own.
func (p *Plan) InPod() bool { return p.Ephemeral != nil || p.Mode == ModeDebug }

// Name returns the session's name in the commands about sessions.
func (p *Plan) Name() string {
	if p.InPod() {
		return p.Container
	}
	return p.PodName
}

// Image returns the image of the session's container. It is empty if another client has made that.
func (p *Plan) Image() string {
	switch {
	case p.Ephemeral != nil:
		return p.Ephemeral.Image
	case p.Pod == nil:
		return ""
	}
	if c := containers.Spec(p.Pod, p.Container); c != nil {
		return c.Image
	}
	return ""
}

// Note is one difference between the source and what will run, with its reason.
type Note struct {
	Kind   NoteKind
	What   string
	Reason string
}

// NoteKind determines how a note is shown.
type NoteKind int

// The kinds of notes.
const (
	LeftOut NoteKind = iota // part of the source that the session does not have
	Changed                 // part of the source that is different
	Warning                 // something that the user should act on
	Kept                    // important part of the source that belongs to the original
	Detail                  // a change that only a complete list shows
)

// Place is where a session's shell is.
type Place struct {
	Mode                      Mode
	Namespace, Pod, Container string
}

// Join plans one more command in a running session. Of o it uses the session, the command, the terminal, the
// toolbox and the heartbeat timeout after which the command ends. The session itself does not end with this
// client, because somebody else keeps it.
func Join(at Place, o Options) *Plan {
	options := o.agent(agent.ViaExec, agent.Watchdog{}, nil)
	if at.Mode == ModeDebug {
		options.Target = &agent.Target{Chroot: true, Env: true} // if the container's variable says so
	}
	return &Plan{
		Mode: at.Mode,
		Headline: "pod/" + at.Pod + ": one more shell in container " + at.Container + ", in namespace " +
			at.Namespace,
		Namespace: at.Namespace, PodName: at.Pod, Container: at.Container, Joins: true,
		Agent: agent.Join(options),
	}
}

// Record returns the annotations with which a lease describes its session: the mode, the source, where the
// shell is, and who opened the session and why.
func Record(mode Mode, t *workload.Workload, o Options) map[string]string {
	pod, container := owned.PodName(t.Name, o.Session), t.Container
	if mode == ModeDebug {
		pod, container = t.Pod.Name, owned.ContainerName(o.Session)
	}
	record := map[string]string{owned.ModeAnnotation: string(mode), owned.PodAnnotation: pod,
		owned.ContainerAnnotation: container}
	maps.Copy(record, owned.Annotations(t.Kind, t.Name))
	maps.Copy(record, owned.Who(t.Access.User, o.Reason))
	return record
}

// endsWith returns with what a session ends that has a client.
func (o Options) endsWith() string {
	if len(o.Command) > 0 {
		return "with its command"
	}
	return "with its shell"
}

// unleased returns a note that there is no lease, with the consequence and the reason. Without a reason there
// is no note.
func (o Options) unleased(consequence string) []Note {
	if o.NoLease == nil {
		return nil
	}
	return []Note{{Changed, "no lease", fmt.Sprintf("%s: %v", consequence, o.NoLease)}}
}
