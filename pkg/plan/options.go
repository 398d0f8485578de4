package plan

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Options are what the user asked for. The zero value of a field means: as in the source.
type Options struct {
	Session string // the session's id, 5 characters of a DNS label
	// HeartbeatTimeout is how long the session lives without a sign of life from its client.
	HeartbeatTimeout time.Duration
	TTL              time.Duration // how long it lives at most; the pod's own limit where there is no lease
	Lease            *Lease        // nil: there is none, and NoLease says why
	NoLease          error
	Reason           string    // why the session is opened, for the record
	Via              agent.Via // empty: exec, or attach where exec is not permitted
	// Direct starts the command without the shell script that holds it back until the client has
	// attached: for images without a shell. It goes with ViaAttach and a command.
	Direct bool
	// Detach makes a session that nobody attends: its command, or a process that waits to be ended, lives
	// for its TTL.
	Detach bool

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

	Labels     isolation.LabelOptions
	Components Components
	Identity   Identity
	Node       string
	Overrides  Overrides

	// Preview makes a plan that is only looked at: what the caller may do is not judged.
	Preview bool
}

// agent returns the options of the agent that runs by via, with a watchdog.
func (o Options) agent(via agent.Via, w agent.Watchdog) agent.Options {
	return agent.Options{
		Session: o.Session, Via: via, Command: o.Command, TTY: o.TTY, Term: o.Term, Toolbox: o.Toolbox != "",
		Entrypoint: o.Entrypoint, Direct: o.Direct, Detached: o.Detach, HeartbeatTimeout: o.HeartbeatTimeout,
		Watchdog: w,
	}
}

// Lease names the Job that owns what the session creates.
type Lease struct {
	Name string
	UID  types.UID
}

// Components are what of the source comes along beside the chosen container.
type Components struct {
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

// chooseVia follows the user's choice and the caller's permissions.
func chooseVia(t *workload.Workload, o Options, mode Mode) (agent.Via, []Note, error) {
	access := t.Access
	if o.Preview {
		access.WatchPods, access.AttachPods = true, true
	}
	var reason string
	switch {
	case !access.WatchPods:
		return "", nil, missing("watch", "pods", t.Namespace, "eshell could not see the session start")
	case o.Detach && (mode == ModeClone || access.AttachPods):
		if len(o.Command) == 0 { // nobody runs a command beside what nobody attends
			return agent.ViaExec, nil, nil
		}
		return agent.ViaAttach, nil, nil
	case !access.AttachPods:
		return "", nil, missing("create", "pods/attach", t.Namespace,
			"eshell keeps a session alive by attaching to it")
	case o.Via == agent.ViaAttach:
		return agent.ViaAttach, nil, nil
	case o.Entrypoint:
		reason = "the image's entrypoint starts the command as the container's process"
	case access.ExecPods:
		return agent.ViaExec, nil, nil
	case o.Via == agent.ViaExec:
		return "", nil, missing("create", "pods/exec", t.Namespace, "--via exec needs it")
	default:
		reason = "you are not allowed to create pods/exec in namespace " + t.Namespace
	}
	return agent.ViaAttach, []Note{{Warning, "running by attach",
		reason + "; all input and output is recorded in the container's log"}}, nil
}

// watchdog is for what runs by attach where no lease ends it. Signs of life come by exec; of a detached
// session there are none.
func watchdog(t *workload.Workload, o Options, mode Mode) agent.Watchdog {
	leased := mode == ModeClone && o.NoLease == nil
	switch {
	case !leased && !o.Detach && t.Access.ExecPods:
		return agent.Watchdog{Timeout: o.HeartbeatTimeout, Relay: true}
	case mode == ModeDebug:
		return agent.Watchdog{Timeout: o.TTL}
	}
	return agent.Watchdog{} // the lease ends it, or the pod's own deadline
}

func missing(verb, resource, namespace, why string) error {
	return hint.Wrap(fmt.Errorf("you are not allowed to %s %s in namespace %s: %s", verb, resource, namespace,
		why), "ask for the permission, and check it: kubectl auth can-i "+verb+" "+resource+" -n "+namespace)
}
