// Package plan decides. From a target and what the user asked for it makes the complete pod or
// ephemeral container, how its streams are opened, and a note of every change. It is pure: no
// client, no clock, no randomness, no printing; the same input gives the same plan.
package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
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

const (
	// Silence is how long a holder waits for a sign of life from its client before it ends itself.
	Silence = 2 * time.Minute
	// Heartbeat is how often the client gives one: several may be lost.
	Heartbeat = 15 * time.Second
	// lifetime is the longest a clone may run, whatever happens to the client.
	lifetime = 8 * time.Hour
	// gracePeriod is how long a clone's processes get between TERM and KILL, in seconds. It is never
	// 0: that would free the pod's name and volumes before its processes are known to be gone.
	gracePeriod = 2
)

// Options are what the user asked for. The zero value of a field means: as in the source.
type Options struct {
	Session string // the session's id, 5 characters of a DNS label
	Via     Via    // empty: exec, or attach where exec is not permitted
	// Direct starts the command without the shell script that holds it back until the client has
	// attached: for images without a shell. It goes with ViaAttach and a command.
	Direct bool

	Command    []string // empty: bash if the image has it, else sh
	Entrypoint bool     // the image's entrypoint is run, with Command as its arguments
	Toolbox    string   // an image with a static busybox, for images without a shell
	TTY        bool
	Term       string // the value of TERM for a session with a TTY

	Image  string
	Pin    bool // the images that run, by their digests
	Env    []EnvChange
	CPU    resource.Quantity
	Memory resource.Quantity

	Labels    isolation.Wish
	Parts     Parts
	Identity  Identity
	Node      string
	Overrides Overrides
}

// Parts are what of the source comes along beside the chosen container.
type Parts struct {
	With    []string // containers and sidecars, by name
	WithAll bool

	Init      Init
	InitNames []string // for InitNamed

	Volumes   Volumes
	Ordinal   *int // of the StatefulSet's pod whose claims are meant
	NoDevices bool
}

// Init is which init containers run.
type Init string

// The choices of init containers.
const (
	InitAuto  Init = "auto" // those that prepare a volume for the containers that run
	InitAll   Init = "all"
	InitNone  Init = "none"
	InitNamed Init = "named"
)

// Volumes is what becomes of volumes that outlive a pod.
type Volumes string

// The choices of volumes. None chosen: claims are shared, a StatefulSet's claim templates fresh.
const (
	VolumesShared   Volumes = "shared"
	VolumesReadOnly Volumes = "readonly"
	VolumesFresh    Volumes = "fresh"
)

// Identity is whose rights the session has.
type Identity struct {
	ServiceAccount string
	NoToken        bool
	UID, GID       *int64
	PullSecrets    []string
}

// Overrides are a patch of the finished pod, in JSON, and its type: json, merge or strategic.
type Overrides struct {
	Patch string
	Type  string
}

// EnvChange sets a variable or, with Remove, takes it out.
type EnvChange struct {
	Name   string
	Value  string
	Remove bool
}

// Plan is the whole intent: nothing in it is decided later.
type Plan struct {
	Headline  string // the session in one line
	Notes     []Note
	Namespace string
	PodName   string
	Container string // whose streams are opened

	Pod       *corev1.Pod                // clone: to be created
	PodUID    types.UID                  // debug: of the pod that is joined
	Ephemeral *corev1.EphemeralContainer // debug: to be added to the pod

	Via     Via
	Command []string // by exec: what to run
	// Gate, by attach, begins the line after which the output is the command's own; the line ends
	// with the PID of the container's process. Empty: the command started without waiting for us.
	Gate string
	// End, by exec without a terminal, begins the line on stderr that says that the command has
	// ended; its exit status follows. The line is not the command's own.
	End string
	TTY bool
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
