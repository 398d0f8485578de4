package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/defaults"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Options are the command line, parsed and validated. Every rule about flags and arguments is applied here,
// once, before anything is sent.
type Options struct {
	Reference workload.Reference // zero if Filename identifies the workload, or the user is asked for it
	Filename  string             // of a manifest; "-" is stdin
	Revision  int64              // 0: the current one
	Mode      plan.Mode
	Container string
	// PodSelection is which pod of the workload is debugged; empty: the newest ready one or, if none is
	// ready, the one that restarts most.
	PodSelection workload.PodSelection
	Plan         plan.Options

	Explain bool
	DryRun  DryRun
	Output  string // of a dry run: yaml, json or name; empty: one line about what was done

	FieldManager    string
	FieldValidation string // one of metav1's values; empty: the server's default

	Stdin        *bool // nil: depends on the command, on stdin and on stdout
	TTY          *bool // nil: depends on stdin and stdout
	Escape       byte  // begins keys for eshell itself; 0: nothing does
	DetachKeys   []byte
	Idle         time.Duration // ends a session in which nothing is typed or shown; 0: nothing does
	Typed        []string      // those flags that do nothing without a terminal, unless they are defaults
	StartTimeout time.Duration
	Wait         bool
	Quiet        bool
	Verbosity    int32
	Record       recordOptions
}

// DryRun is who validates a pod that is not created.
type DryRun string

// The dry-run strategies, named as in kubectl.
const (
	DryRunNone   DryRun = "none"
	DryRunClient DryRun = "client"
	DryRunServer DryRun = "server"
)

// isPreview reports whether the user wants no session, only a description of it.
func (o Options) isPreview() bool { return o.Explain || o.DryRun != DryRunNone }

// options validates the flags and arguments. dash is the index of the first argument after "--", or -1.
func (f *flags) options(ctx context.Context, args []string, dash int) (Options, error) {
	words, command := args, []string(nil)
	if dash >= 0 {
		words, command = args[:dash], args[dash:]
	}
	o := f.asked
	for _, name := range []string{"idle", "detach-keys"} {
		if f.set.Changed(name) && len(f.origins[name]) == 0 {
			o.Typed = append(o.Typed, name)
		}
	}
	if f.set.Changed("stdin") {
		o.Stdin = &f.stdin
	}
	if f.set.Changed("tty") {
		o.TTY = &f.tty
	}
	var unnamed, unrecorded error
	o.Record, unrecorded = f.record.options(f.set)
	asked := f.unnamed && !f.set.Changed("filename")
	if len(words) > 0 || o.Filename == "" && !asked { // a manifest of one workload needs no arguments
		o.Reference, unnamed = workload.ParseReference(words)
	}
	err := cmp.Or( // the first mistake is reported
		oneOf("dry-run", o.DryRun, DryRunNone, DryRunClient, DryRunServer),
		f.strategyApart(words),
		unnamed,
		oneOf("mode", o.Mode, plan.ModeClone, plan.ModeDebug),
		oneOf("pod-selection", o.PodSelection, "", workload.PodNewest, workload.PodOldest,
			workload.PodUnready, workload.PodCrashing),
		refuse(f.set.Changed("revision") && o.Revision <= 0,
			fmt.Sprintf("--revision %d is not more than zero", o.Revision), ""),
		f.parsePlan(ctx, &o.Plan, command),
		oneOf("output", o.Output, "", "yaml", "json", "name"),
		f.parseWrite(&o),
		f.notEmpty("filename", "custom", "field-manager", "toolbox", "image", "cpu", "memory", "container",
			"start-timeout", "lease", "ttl", "idle", "detach-keys", "debug-image",
			"toolbox-image", configFlag, defaults.Use),
		parseEscape(&o.Escape, f.escape),
		unrecorded,
		parseDetachKeys(&o.DetachKeys, f.detachKeys),
		parseIdle(&o.Idle, f.idle),
		parseDurationFlag(&o.StartTimeout, "start-timeout", f.startTimeout, time.Second),
		parseDurationFlag(&o.Plan.HeartbeatTimeout, "lease", f.lease, 20*time.Second),
		parseDurationFlag(&o.Plan.TTL, "ttl", f.ttl, time.Second),
		reasoned(o),
	)
	if err == nil {
		err = f.consistent(o)
	}
	if err != nil {
		return Options{}, err
	}
	o.Plan.HeartbeatTimeout = o.Plan.HeartbeatTimeout.Round(time.Second)
	o.Plan.TTL = o.Plan.TTL.Round(time.Second)
	return o, nil
}

// parseWrite reads how the session's pod or container is sent. The words of --validate are kubectl's.
func (f *flags) parseWrite(o *Options) error {
	o.FieldValidation = map[string]string{"strict": metav1.FieldValidationStrict,
		"true": metav1.FieldValidationStrict, "warn": metav1.FieldValidationWarn,
		"ignore": metav1.FieldValidationIgnore, "false": metav1.FieldValidationIgnore}[f.validate]
	return oneOf("validate", f.validate, "", "strict", "warn", "ignore", "true", "false")
}

// parseEscape reads the character of --escape.
func parseEscape(to *byte, text string) error {
	switch {
	case text == "none":
		*to = 0
	case len(text) == 1 && text[0] > ' ' && text[0] < 0x7f:
		*to = text[0]
	default:
		return fmt.Errorf("--escape %q is neither a character nor none", text)
	}
	return nil
}

// parseDetachKeys reads the keys of --detach-keys, as docker and kubectl attach write them.
func parseDetachKeys(to *[]byte, text string) error {
	if text == "" || text == "none" {
		return nil
	}
	keys, err := term.ToBytes(text)
	if err != nil {
		return hint.Wrap(fmt.Errorf(
			"--detach-keys %q is neither keys with commas between them nor none", text),
			"for example: --detach-keys ctrl-p,ctrl-q; a key is a character or ctrl- and a lowercase letter")
	}
	*to = keys
	return nil
}

// leastIdle is more than a session needs to show its first prompt.
const leastIdle = 10 * time.Second

// parseIdle reads the duration of --idle, of which 0 is none.
func parseIdle(to *time.Duration, text string) error {
	if parsed, err := parseDuration(text); err == nil && parsed == 0 {
		return nil
	}
	return parseDurationFlag(to, "idle", text, leastIdle)
}

// strategyApart refuses a strategy that is a word of its own after --dry-run, which needs none.
func (f *flags) strategyApart(words []string) error {
	for _, strategy := range []DryRun{DryRunNone, DryRunClient, DryRunServer} {
		if f.set.Changed("dry-run") && slices.Contains(words, string(strategy)) {
			return hint.Wrap(errors.New("--dry-run takes its strategy after an equals sign"),
				hint.Command("--dry-run=%s", string(strategy)))
		}
	}
	return nil
}

// parsePlan validates the flags and arguments from which a plan is made.
func (f *flags) parsePlan(ctx context.Context, o *plan.Options, command []string) error {
	parts, identity := &o.Components, &o.Identity
	if f.set.Changed("ordinal") {
		parts.Ordinal = &f.ordinal
	}
	return cmp.Or(
		oneOf("via", o.Via, "", agent.ViaExec, agent.ViaAttach),
		f.parseCommand(o, command),
		f.parsePull(o),
		f.parseEnv(ctx, o),
		parseQuantity(&o.CPU, "cpu", f.cpu),
		parseQuantity(&o.Memory, "memory", f.memory),
		f.validNames("with", validation.IsDNS1123Label, parts.With...),
		f.parseInit(parts),
		oneOf("volumes", parts.Volumes, "", plan.VolumesShared, plan.VolumesReadOnly, plan.VolumesFresh),
		refuse(f.ordinal < 0, fmt.Sprintf("--ordinal %d is less than zero", f.ordinal), ""),
		f.parseLabels(&o.Labels),
		f.validNames("service-account", validation.IsDNS1123Subdomain, identity.ServiceAccount),
		f.validNames("image-pull-secret", validation.IsDNS1123Subdomain, identity.PullSecrets...),
		f.parseUser(identity),
		f.validNames("node", validation.IsDNS1123Subdomain, o.Node),
		f.parseOverrides(&o.Overrides),
		f.parseDebug(ctx, &o.Debug),
	)
}

// refuse returns an error with the text told and the hint next if something is wrong.
func refuse(wrong bool, told, next string) error {
	if !wrong {
		return nil
	}
	return hint.Wrap(errors.New(told), next)
}

// unattended refuses what cannot be combined with a session that nobody attends.
func (f *flags) unattended(o Options) error {
	if !o.Plan.Detach {
		return nil
	}
	command := len(o.Plan.Command) > 0
	return cmp.Or(
		refuse(is(o.TTY, true),
			"--tty cannot be used with --detach: a detached session has no terminal", ""),
		refuse(is(o.Stdin, true),
			"--stdin cannot be used with --detach: a detached session reads no stdin", ""),
		refuse(o.Idle > 0, "--idle cannot be used with --detach: nobody is there to type or to read",
			"--ttl limits a detached session"),
		refuse(len(o.DetachKeys) > 0,
			"--detach-keys cannot be used with --detach: a detached session has been left", ""),
		refuse(o.Wait, "--wait cannot be used with --detach: it waits for the end of the session", ""),
		refuse(o.Record.File != "", "--record cannot be used with --detach: a detached session shows nothing",
			"record the shells in it: kubectl eshell attach --record FILE"),
		refuse(command && os.Getenv(recordDir) != "" && !o.isPreview(),
			"--detach cannot run a command, because every session has to be recorded ("+recordDir+"), "+
				"and its output is in the container's log",
			"leave out --detach"),
		refuse(command && o.Plan.Via == agent.ViaExec,
			"--via exec cannot be used with --detach: a detached command has no client to exec it",
			"leave out --via: the command runs as the container's process"),
		refuse(!command && o.Plan.Via == agent.ViaAttach,
			"--via attach cannot be used with --detach without a command: there is no shell to attach to",
			"leave out --via; open shells in it with kubectl eshell attach"),
		refuse(command && o.Mode == plan.ModeDebug,
			"--detach cannot run a command in a debug container: it would end with its client",
			"start the session without a command, and run it there with kubectl eshell attach; "+
				"or leave out --mode debug for a clone"),
	)
}

// is reports whether a flag was given with a value.
func is(flag *bool, value bool) bool { return flag != nil && *flag == value }

// consistent refuses flags and arguments that cannot be combined.
func (f *flags) consistent(o Options) error {
	asked, parts := o.Plan, o.Plan.Components
	name := f.notOf(o.Mode)
	clone := "leave out --mode debug for a clone"
	if len(f.origins["mode"]) > 0 {
		clone = "add --mode clone for a clone"
	}
	return cmp.Or(
		refuse(name != "" && o.Mode == plan.ModeDebug, "--"+name+" cannot be used with --mode debug", clone),
		refuse(name != "", "--"+name+" is for --mode debug", "add --mode debug"),
		refuse(o.PodSelection != "" && o.Reference.Kind == "Pod",
			"--pod-selection chooses among the pods of a workload, and one pod was named", ""),
		f.unattended(o),
		refuse(len(parts.With) > 0 && parts.WithAll, "--with-all cannot be combined with --with", ""),
		refuse(parts.Volumes == plan.VolumesFresh && parts.Ordinal != nil,
			"--ordinal cannot be used with --volumes fresh, which uses no existing claims", ""),
		refuse(asked.Pin && asked.Image != "", "--pin cannot be combined with --image", ""),
		refuse(asked.Pin && o.Filename != "",
			"--pin cannot be used with -f: nothing of a manifest runs yet", ""),
		refuse(asked.Entrypoint && asked.Via == agent.ViaExec,
			"--entrypoint cannot be used with --via exec: the entrypoint starts the container's process", ""),
		refuse(asked.Entrypoint && asked.Toolbox != "", "--entrypoint cannot be combined with --toolbox", ""),
		refuse(o.Filename == "-" && !asked.Detach && !o.isPreview() &&
			(is(o.Stdin, true) || o.Stdin == nil && len(asked.Command) == 0),
			"-f - and the command cannot both read stdin",
			"leave stdin to the manifest with -i=false, or read it from a file with -f FILE"),
		refuse(o.Output != "" && o.DryRun == DryRunNone,
			"--output prints a dry run's pod, and none was asked for",
			hint.Command("--dry-run=client -o %s", o.Output)),
		refuse(f.set.Changed("override-type") && asked.Overrides.Patch == "",
			"--override-type needs --overrides", ""),
	)
}

func oneOf[T ~string](flag string, value T, allowed ...T) error {
	var names []string
	for _, a := range allowed {
		if value == a {
			return nil
		}
		if a != "" {
			names = append(names, string(a))
		}
	}
	err := fmt.Errorf("--%s %q is not one of: %s", flag, value, strings.Join(names, ", "))
	for _, meant := range hint.Closest(string(value), names) {
		return hint.Wrap(err, hint.Command("did you mean: --"+flag+"=%s", meant))
	}
	return err
}

// notEmpty refuses flags that were given with an empty value, as by an empty variable in a script.
func (f *flags) notEmpty(names ...string) error {
	for _, name := range names {
		if f.set.Changed(name) && f.set.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s is empty", name)
		}
	}
	return nil
}

// validNames validates the names of objects, if the flag was given.
func (f *flags) validNames(flag string, problems func(string) []string, names ...string) error {
	switch {
	case !f.set.Changed(flag):
		return nil
	case len(names) == 0:
		return fmt.Errorf("--%s is empty", flag)
	}
	for _, name := range names {
		if p := problems(name); len(p) > 0 {
			return fmt.Errorf("--%s %q is not a valid name: %s", flag, name, words.Rule(p[0]))
		}
	}
	return nil
}

func (f *flags) parseCommand(o *plan.Options, afterDash []string) error {
	switch {
	case !f.set.Changed("command"):
		o.Command = afterDash
	case len(afterDash) > 0:
		return fmt.Errorf("--command cannot be combined with a command after --")
	case len(o.Command) == 0 || o.Command[0] == "":
		return fmt.Errorf("--command is empty")
	}
	return nil
}

// parsePull translates the words that docker and podman use.
func (f *flags) parsePull(o *plan.Options) error {
	o.Pull = map[string]corev1.PullPolicy{"always": corev1.PullAlways, "missing": corev1.PullIfNotPresent,
		"never": corev1.PullNever}[f.pull]
	return oneOf("pull", f.pull, "", "always", "missing", "never")
}

func parseQuantity(to *resource.Quantity, flag, value string) error {
	if value == "" {
		return nil
	}
	quantity, err := resource.ParseQuantity(value)
	switch {
	case err != nil:
		return hint.Wrap(fmt.Errorf("--%s %q is not a quantity", flag, value),
			"for example: --cpu 500m, --memory 2Gi")
	case quantity.Sign() <= 0:
		return fmt.Errorf("--%s %q is not more than zero", flag, value)
	case flag == "memory" && quantity.Cmp(*resource.NewQuantity(quantity.Value(), quantity.Format)) != 0:
		// The server would only warn, and the node would never start the pod. Value rounds up.
		return hint.Wrap(fmt.Errorf("--memory %q is not a whole number of bytes", value),
			"m means thousandths; megabytes are M or Mi")
	}
	*to = quantity
	return nil
}

// requireReason is the environment variable with which a platform team requires reasons. Only an explicit
// false value switches it off.
const requireReason = "KUBECTL_ESHELL_REQUIRE_REASON"

// reasoned requires users to give a reason if their platform wants one.
func reasoned(o Options) error {
	value := os.Getenv(requireReason)
	required, err := strconv.ParseBool(value)
	if value == "" || err == nil && !required || o.isPreview() || strings.TrimSpace(o.Plan.Reason) != "" {
		return nil
	}
	return hint.Wrap(fmt.Errorf("a reason is required (%s)", requireReason), "add one: --reason TEXT")
}
