// Package plan decides. From a workload and what the user asked for it makes the complete pod or
// ephemeral container, how its streams are opened, and a note of every change. It is pure: no
// client, no clock, no randomness, no printing; the same input gives the same plan.
package plan

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
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

// gracePeriod is how long a clone's processes get between TERM and KILL, in seconds. It is never
// 0: that would free the pod's name and volumes before its processes are known to be gone.
const gracePeriod = 2

// Plan is the whole intent: nothing in it is decided later.
type Plan struct {
	Headline  string // the session in one line
	Mode      Mode
	Notes     []Note
	Namespace string
	PodName   string
	Container string // whose streams are opened

	Pod       *corev1.Pod                // clone: to be created
	PodUID    types.UID                  // debug: of the pod that is joined
	Ephemeral *corev1.EphemeralContainer // debug: to be added to the pod

	Agent agent.Agent // what runs in the container, and how its client speaks to it

	// Record is what the session's lease is to say of it.
	Record map[string]string
}

// InPod reports a debug session: its shell is in a pod that is not its own.
func (p *Plan) InPod() bool { return p.Ephemeral != nil || p.Mode == ModeDebug }

// Name is what the session is called by the commands about sessions.
func (p *Plan) Name() string {
	if p.InPod() {
		return p.Container
	}
	return p.PodName
}

// Note is one difference between the source and what will run, with its reason.
type Note struct {
	Kind   NoteKind
	What   string
	Reason string
}

// NoteKind says how a note is told.
type NoteKind int

// The kinds of notes.
const (
	LeftOut NoteKind = iota // part of the source that the session does not have
	Changed                 // part of it that is different
	Warning                 // something that the user should act on
	Kept                    // part of the source that matters and is the original's own
	Detail                  // a change that only a full account names
)

// Place is where a session's shell is.
type Place struct {
	Mode                      Mode
	Namespace, Pod, Container string
}

// Join plans one more command in a session that runs. Of o it takes the session, the command, the terminal,
// the toolbox and the heartbeat timeout after which the command ends: the session, which is somebody else's
// to keep, does not end with its client.
func Join(at Place, o Options) *Plan {
	return &Plan{
		Mode: at.Mode,
		Headline: "pod/" + at.Pod + ": one more shell in container " + at.Container + ", in namespace " +
			at.Namespace,
		Namespace: at.Namespace, PodName: at.Pod, Container: at.Container,
		Agent: agent.Join(o.agent(agent.ViaExec, agent.Watchdog{})),
	}
}

// Record is what a session's lease says of it: the mode, what it was made from, where its shell is,
// who opened it and why.
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

// unleased notes that there is no lease, and what follows.
func (o Options) unleased(consequence string) []Note {
	if o.NoLease == nil {
		return nil
	}
	return []Note{{Changed, "no lease", fmt.Sprintf("%s: %v", consequence, o.NoLease)}}
}
