// Package plan decides. From a target and what the user asked for it makes the complete pod or
// ephemeral container, how its streams are opened, and a note of every change. It is pure: no
// client, no clock, no randomness, no printing; the same input gives the same plan.
package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Mode is where the shell runs.
type Mode string

// The modes.
const (
	ModeClone Mode = "clone" // in a new pod made from the workload
	ModeDebug Mode = "debug" // in an ephemeral container of a running pod
)

// Via is how the command is run in its container.
type Via string

// The ways to run a command.
const (
	ViaExec   Via = "exec"   // by exec, beside a holder that the client keeps alive
	ViaAttach Via = "attach" // as the container's own process
)

// Beat is how often the client gives a sign of life, where silence ends the session: several may be
// lost.
func Beat(silence time.Duration) time.Duration { return silence / 8 }

const (
	// gracePeriod is how long a clone's processes get between TERM and KILL, in seconds. It is never
	// 0: that would free the pod's name and volumes before its processes are known to be gone.
	gracePeriod = 2
)

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

	Via     Via
	Command []string // by exec: what to run, by CommandAt
	// Gate begins the line after which the output is the command's own; the line ends with the PID of
	// the gate's process and that of its watchdog, if it has one. Before that the gate says Gate and
	// "ready" to each line, until it is TellGo's. Empty: the command starts without waiting for us.
	Gate string
	// Relay, if it is not empty, is to be run by exec with the watchdog's PID as one more argument: it
	// takes a line now and then as a sign of life, without which the watchdog ends the command.
	Relay []string
	// Kill is to be run by exec with the PIDs of the gate and of its watchdog as more arguments: it ends
	// the command, and returns when the gate has ended.
	Kill []string
	// End, without a terminal and an entrypoint, begins the line on stderr that says that the command has
	// ended; its exit status follows. The line is not the command's own.
	End string
	TTY bool

	// Detached: nobody attends the session. In debug mode its process ends by TellEnd, and soon
	// after Silence unless it is told TellStay.
	Detached bool

	// Record is what the session's lease is to say of it.
	Record map[string]string
	// Silence is how long what runs in the container waits for a sign of life from the client before
	// it ends itself, and Patience how long before it has heard of one.
	Silence, Patience time.Duration
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
