package plan

import (
	"fmt"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Options holds what the user asked for. The zero value of a field keeps what the source has.
type Options struct {
	Session string // the session's id, 5 characters that a DNS label can contain
	// HeartbeatTimeout is how long the session lives without hearing from its client.
	HeartbeatTimeout time.Duration
	TTL              time.Duration // how long it lives at most; without a lease, the pod's own limit
	Lease            *Lease        // nil if there is none; NoLease is the reason
	NoLease          error
	Reason           string    // why the session is opened, for its record
	Via              agent.Via // empty for exec, or attach if exec is not permitted
	// Direct starts the command without the shell script that holds it back until the client has attached. It
	// is for images without a shell, and requires ViaAttach and a command.
	Direct bool
	// Detach makes a session that has no client. It runs its command, or a process that waits to be ended,
	// for at most its TTL.
	Detach bool

	Command    []string // empty for bash if the image has it, or else sh
	Entrypoint bool     // run the image's entrypoint, with Command as its arguments
	Toolbox    string   // an image with a static busybox, for images without a shell
	// DefaultToolbox is the toolbox if the image turns out to have no shell; empty: there is none.
	DefaultToolbox string
	// InlineScripts is for a session whose container does not have the scripts of this release.
	InlineScripts bool
	Stdin         bool // the command reads the user's input
	TTY           bool
	Term          string // the value of TERM for a session with a TTY

	Image  string
	Pull   corev1.PullPolicy // empty: the source's, or what the API derives from Image
	Pin    bool              // use the images that run, by their digests
	Env    []EnvChange
	CPU    resource.Quantity
	Memory resource.Quantity

	Debug DebugOptions

	Labels     isolation.LabelOptions
	Components Components
	Identity   Identity
	Node       string
	Overrides  Overrides

	// Preview makes a plan that is only displayed. The caller's permissions are not checked.
	Preview bool
}

// agent returns the options of an agent that uses via, the watchdog w, and the variables that are passed to
// the command over its stream.
func (o Options) agent(via agent.Via, w agent.Watchdog, passed []agent.Variable) agent.Options {
	return agent.Options{
		Session: o.Session, Via: via, Command: o.Command, Stdin: o.Stdin, TTY: o.TTY, Term: o.Term,
		Toolbox:    o.Toolbox != "",
		Entrypoint: o.Entrypoint, Direct: o.Direct, Detached: o.Detach, HeartbeatTimeout: o.HeartbeatTimeout,
		Inline: o.InlineScripts, Watchdog: w, Env: passed,
	}
}

// DebugOptions holds what applies to a debug session only.
type DebugOptions struct {
	Without        Parts             // what the container does not inherit from its target
	Profile        profile.Profile   // what the container is allowed to do; empty: as much as its target
	Custom         *corev1.Container // is merged into the container
	Chroot         bool              // run the shell in the target's root filesystem
	EnvFromProcess bool              // with the environment of the target's first process
	New            bool              // add a container even if one that is like it runs already
	// DefaultImage is the image if the target has none with a shell; empty: there is no such image.
	DefaultImage string
}

// Parts are what a debug container inherits from its target.
type Parts struct{ Env, Volumes, Security bool }

// Lease names the Job that owns what the session creates.
type Lease struct {
	Name string
	UID  types.UID
}

// Components are the parts of the source that are kept beside the chosen container.
type Components struct {
	With    []string // containers and sidecars, by name
	WithAll bool

	Init      Init
	InitNames []string // for InitNamed

	Volumes   Volumes
	Ordinal   *int // the ordinal of the StatefulSet's pod whose claims are used
	NoDevices bool
}

// Init selects which init containers run.
type Init string

// These are the values of Init.
const (
	InitAuto  Init = "auto" // those that prepare a volume for the containers that run
	InitAll   Init = "all"
	InitNone  Init = "none"
	InitNamed Init = "named"
)

// Volumes selects what happens to volumes that outlive a pod.
type Volumes string

// These are the values of Volumes. The empty value shares claims, but makes fresh ones from a StatefulSet's
// claim templates.
const (
	VolumesShared   Volumes = "shared"
	VolumesReadOnly Volumes = "readonly"
	VolumesFresh    Volumes = "fresh"
)

// Identity specifies whose rights the session has.
type Identity struct {
	ServiceAccount string
	NoToken        bool
	UID, GID       *int64
	PullSecrets    []string
}

// Overrides is a patch of the finished pod, in JSON, and its type: json, merge or strategic.
type Overrides struct {
	Patch string
	Type  string
}

// EnvChange sets a variable or, with Remove, removes it.
type EnvChange struct {
	Name   string
	Value  string
	Remove bool
}

// chooseVia chooses between exec and attach, based on the user's choice and the caller's permissions. It
// returns an error if a required permission is missing.
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
		if len(o.Command) == 0 { // the process only waits, and no client runs a command
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

// startsDirectly reports whether the command of --via attach is the container's process without a shell
// around it: so a program of an image without a shell runs in the first pod. If the workload shows that its
// image has a shell, or the command is one, it waits behind a gate: then none of its output comes from the
// log, and it is not PID 1, which ignores the signals that it does not handle. So it does without a lease,
// because only a gate has a watchdog.
func (o Options) startsDirectly(t *workload.Workload) bool {
	if o.Via != agent.ViaAttach || len(o.Command) == 0 || o.Direct || o.Detach || o.Entrypoint ||
		o.Toolbox != "" || o.NoLease != nil || isWindows(t.Template.Spec) ||
		runsShell(o.Command) || agent.NeedsShell(o.Command) {
		return false
	}
	image := o.Image
	if main := containerNamed(t.Template.Spec.Containers, t.Container); image == "" && main != nil {
		image = main.Image
	}
	for _, list := range [][]corev1.Container{t.Template.Spec.InitContainers, t.Template.Spec.Containers} {
		for _, c := range list {
			if c.Image == image && usesShell(c) {
				return false
			}
		}
	}
	return true
}

// usesShell reports whether a container runs a shell of its image, as its process, in a probe or in a hook.
func usesShell(c corev1.Container) bool {
	programs := [][]string{c.Command}
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if probe != nil && probe.Exec != nil {
			programs = append(programs, probe.Exec.Command)
		}
	}
	if c.Lifecycle != nil {
		for _, hook := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if hook != nil && hook.Exec != nil {
				programs = append(programs, hook.Exec.Command)
			}
		}
	}
	return slices.ContainsFunc(programs, runsShell)
}

// runsShell reports whether a command's program is a shell.
func runsShell(command []string) bool {
	return len(command) > 0 && slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(command[0]))
}

// watchdog returns the watchdog for a process that runs by attach and is not ended by a lease. Heartbeats
// arrive by exec. A detached session has none.
func watchdog(t *workload.Workload, o Options, mode Mode) agent.Watchdog {
	leased := mode == ModeClone && o.NoLease == nil
	switch {
	case !leased && !o.Detach && t.Access.ExecPods:
		return agent.Watchdog{Timeout: o.HeartbeatTimeout, Relay: true}
	case mode == ModeDebug:
		return agent.Watchdog{Timeout: o.TTL}
	}
	return agent.Watchdog{} // the lease or the pod's own deadline ends it
}

func missing(verb, resource, namespace, why string) error {
	return hint.Wrap(fmt.Errorf("you are not allowed to %s %s in namespace %s: %s", verb, resource, namespace,
		why), hint.Command("ask for the permission, and check it: kubectl auth can-i %s %s -n %s", verb,
		resource, namespace))
}
