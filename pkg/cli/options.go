package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Options are what was asked, parsed and validated: every rule about words is applied here, once,
// before anything is sent.
type Options struct {
	Reference workload.Reference // zero where Filename alone says what is meant
	Filename  string             // of a manifest; "-" is stdin
	Revision  int64              // 0: the current one
	Mode      plan.Mode
	Container string
	Plan      plan.Options

	Explain bool
	DryRun  DryRun
	Output  string // of a dry run: yaml, json or name; empty: one line that says what was done

	Stdin        bool
	TTY          *bool // nil: by what stdin and stdout are
	StartTimeout time.Duration
	Wait         bool
	Quiet        bool
	Verbosity    int32
}

// DryRun is who judges a pod that is not created.
type DryRun string

// The dry runs, with kubectl's names.
const (
	DryRunNone   DryRun = "none"
	DryRunClient DryRun = "client"
	DryRunServer DryRun = "server"
)

// isPreview says that no session is wanted, only an account of it.
func (o Options) isPreview() bool { return o.Explain || o.DryRun != DryRunNone }

// options validates the words; dash is the index of the first one after "--", or -1.
func (f *flags) options(args []string, dash int) (Options, error) {
	words, command := args, []string(nil)
	if dash >= 0 {
		words, command = args[:dash], args[dash:]
	}
	o := Options{
		Filename: f.source.filename, Container: f.container, Explain: f.explain,
		Stdin: f.stdin && !f.detach, StartTimeout: f.startTimeout, Wait: f.wait, Quiet: f.quiet,
		Verbosity: f.verbosity,
	}
	if f.set.Changed("tty") {
		o.TTY = &f.tty
	}
	for _, parse := range []func() error{
		// Before the workload: without a value --dry-run takes the next word for one.
		into(&o.DryRun, func() (DryRun, error) {
			return oneOf("dry-run", DryRun(f.dryRun), DryRunNone, DryRunClient, DryRunServer)
		}),
		into(&o.Reference, func() (workload.Reference, error) { return f.reference(words) }),
		into(&o.Mode, func() (plan.Mode, error) {
			return oneOf("mode", plan.Mode(f.mode), plan.ModeClone, plan.ModeDebug)
		}),
		into(&o.Revision, f.revision),
		into(&o.Plan, func() (plan.Options, error) { return f.plan(command) }),
		into(&o.Output, func() (string,
			error) {
			return oneOf("output", f.output, "", "yaml", "json", "name")
		}),
		func() error { return f.notEmpty("filename", "toolbox", "image", "cpu", "memory", "container") },
		func() error { return atLeast("start-timeout", f.startTimeout, time.Second) },
		func() error { return atLeast("lease", f.lease, 20*time.Second) },
		func() error { return atLeast("ttl", f.ttl, time.Second) },
		func() error { return f.reasoned(o) },
		func() error { return f.consistent(o) },
	} {
		if err := parse(); err != nil {
			return Options{}, err
		}
	}
	return o, nil
}

// plan validates the words that a plan is made with.
func (f *flags) plan(command []string) (plan.Options, error) {
	o := plan.Options{HeartbeatTimeout: f.lease.Round(time.Second), TTL: f.ttl.Round(time.Second),
		Detach: f.detach, Reason: f.reason, Image: f.image, Pin: f.source.pin,
		Entrypoint: f.source.entrypoint, Toolbox: f.source.toolbox}
	for _, parse := range []func() error{
		into(&o.Via, func() (agent.Via,
			error) {
			return oneOf("via", agent.Via(f.via), "", agent.ViaExec, agent.ViaAttach)
		}),
		into(&o.Command, func() ([]string, error) { return f.chosenCommand(command) }),
		into(&o.Env, func() ([]plan.EnvChange, error) { return parseEnv(f.env) }),
		into(&o.CPU, func() (resource.Quantity, error) { return parseQuantity("cpu", f.cpu) }),
		into(&o.Memory, func() (resource.Quantity, error) { return parseQuantity("memory", f.memory) }),
		into(&o.Components, f.chosenComponents),
		into(&o.Labels, f.labels.options),
		into(&o.Identity, f.chosenIdentity),
		into(&o.Node, func() (string, error) { return f.name("node", f.node) }),
		into(&o.Overrides, f.chosenOverrides),
	} {
		if err := parse(); err != nil {
			return plan.Options{}, err
		}
	}
	return o, nil
}

func into[T any](to *T, parse func() (T, error)) func() error {
	return func() (err error) {
		*to, err = parse()
		return err
	}
}

// reference reads the words; a manifest that holds one workload needs none.
func (f *flags) reference(words []string) (workload.Reference, error) {
	if f.source.filename != "" && len(words) == 0 {
		return workload.Reference{}, nil
	}
	return workload.ParseReference(words)
}

// contradiction is a pair of words that do not go together.
type contradiction struct {
	wrong      bool
	told, next string
}

// attended are those of a session that nobody attends.
func (f *flags) attended(o Options) []contradiction {
	if !f.detach {
		return nil
	}
	command := len(o.Plan.Command) > 0
	return []contradiction{
		{o.TTY != nil && *o.TTY, "--tty cannot be used with --detach: a detached session has no terminal",
			""},
		{f.set.Changed("stdin") && f.stdin,
			"--stdin cannot be used with --detach: a detached session reads no stdin", ""},
		{o.Wait, "--wait cannot be used with --detach: it waits for the end of the session", ""},
		{command && o.Plan.Via == agent.ViaExec,
			"--via exec cannot be used with --detach: a detached command has no client to exec it",
			"leave out --via: the command runs as the container's process"},
		{!command && o.Plan.Via == agent.ViaAttach,
			"--via attach cannot be used with --detach without a command: there is no shell to attach to",
			"leave out --via; open shells in it with kubectl eshell attach"},
		{command && o.Mode == plan.ModeDebug,
			"--detach cannot run a command in a debug container: it would end with its client",
			"start the session without a command, and run it there with kubectl eshell attach; " +
				"or leave out --mode debug for a clone"},
	}
}

// consistent refuses words that do not go together.
func (f *flags) consistent(o Options) error {
	asked, parts := o.Plan, o.Plan.Components
	if name := f.cloneOnly(); name != "" && o.Mode == plan.ModeDebug {
		return hint.Wrap(fmt.Errorf("--%s cannot be used with --mode debug", name),
			"leave out --mode debug for a clone")
	}
	for _, c := range append(f.attended(o), []contradiction{
		{len(parts.With) > 0 && parts.WithAll, "--with-all cannot be combined with --with", ""},
		{parts.Volumes == plan.VolumesFresh && parts.Ordinal != nil,
			"--ordinal cannot be used with --volumes fresh, which uses no existing claims", ""},
		{asked.Pin && asked.Image != "", "--pin cannot be combined with --image", ""},
		{asked.Pin && o.Filename != "", "--pin cannot be used with -f: nothing of a manifest runs yet", ""},
		{asked.Entrypoint && asked.Via == agent.ViaExec,
			"--entrypoint cannot be used with --via exec: the entrypoint starts the container's process", ""},
		{asked.Entrypoint && asked.Toolbox != "", "--entrypoint cannot be combined with --toolbox", ""},
		{o.Filename == "-" && o.Stdin && !o.isPreview(), "-f - and the command cannot both read stdin",
			"leave stdin to the manifest with -i=false, or read it from a file with -f FILE"},
		{o.Output != "" && o.DryRun == DryRunNone, "--output prints a dry run's pod, and none was asked for",
			"--dry-run=client -o " + o.Output},
		{f.set.Changed("override-type") && asked.Overrides.Patch == "", "--override-type needs --overrides",
			""},
	}...) {
		if c.wrong {
			return hint.Wrap(fmt.Errorf("%s", c.told), c.next)
		}
	}
	return nil
}

func oneOf[T ~string](flag string, value T, allowed ...T) (T, error) {
	var names []string
	for _, a := range allowed {
		if value == a {
			return value, nil
		}
		if a != "" {
			names = append(names, string(a))
		}
	}
	return "", fmt.Errorf("--%s %q is not one of: %s", flag, value, strings.Join(names, ", "))
}

// notEmpty refuses flags that were given without a value, as a script's empty variable does.
func (f *flags) notEmpty(names ...string) error {
	for _, name := range names {
		if f.set.Changed(name) && f.set.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s is empty", name)
		}
	}
	return nil
}

// name validates the name of an object, if it was given.
func (f *flags) name(flag, name string) (string, error) {
	if !f.set.Changed(flag) {
		return "", nil
	}
	return name, validName(flag, name, validation.IsDNS1123Subdomain)
}

func validName(flag, name string, problems func(string) []string) error {
	if p := problems(name); len(p) > 0 {
		return fmt.Errorf("--%s %q is not a valid name: %s", flag, name, p[0])
	}
	return nil
}

func (f *flags) revision() (int64, error) {
	if f.set.Changed("revision") && f.source.revision <= 0 {
		return 0, fmt.Errorf("--revision %d is not more than zero", f.source.revision)
	}
	return f.source.revision, nil
}

func (f *flags) chosenCommand(afterDash []string) ([]string, error) {
	switch {
	case !f.set.Changed("command"):
		return afterDash, nil
	case len(afterDash) > 0:
		return nil, fmt.Errorf("--command cannot be combined with a command after --")
	case len(f.command) == 0 || f.command[0] == "":
		return nil, fmt.Errorf("--command is empty")
	}
	return f.command, nil
}

func parseEnv(words []string) ([]plan.EnvChange, error) {
	var changes []plan.EnvChange
	for _, word := range words {
		name, value, set := strings.Cut(word, "=")
		change := plan.EnvChange{Name: name, Value: value}
		if !set {
			trimmed, dash := strings.CutSuffix(word, "-")
			if !dash && len(validation.IsEnvVarName(word)) > 0 {
				return nil, fmt.Errorf("--env: a word is neither NAME=VALUE nor NAME-")
			}
			if !dash {
				return nil, hint.Wrap(fmt.Errorf("--env %q is neither NAME=VALUE nor NAME-", word),
					"to pass your own value: -e \""+word+"=$"+word+"\"")
			}
			change = plan.EnvChange{Name: trimmed, Remove: true}
		}
		// What the API takes since Kubernetes 1.30 (KEP-4369); an older server will say so itself.
		// The value is never repeated in an error: it may be a secret.
		if problems := validation.IsRelaxedEnvVarName(change.Name); len(problems) > 0 {
			return nil, fmt.Errorf("--env: %q is not a name for a variable: %s", change.Name, problems[0])
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func parseQuantity(flag, value string) (resource.Quantity, error) {
	if value == "" {
		return resource.Quantity{}, nil
	}
	quantity, err := resource.ParseQuantity(value)
	if err != nil {
		return resource.Quantity{},
			hint.Wrap(fmt.Errorf("--%s %q is not a quantity: %w", flag, value, err),
				"for example: --cpu 500m, --memory 2Gi")
	}
	if quantity.Sign() <= 0 {
		return resource.Quantity{}, fmt.Errorf("--%s %q is not more than zero", flag, value)
	}
	if flag == "memory" && quantity.Cmp(*resource.NewQuantity(quantity.Value(), quantity.Format)) != 0 {
		// The server would only warn, and the node never start the pod. Value rounds up.
		return resource.Quantity{},
			hint.Wrap(fmt.Errorf("--memory %q is not a whole number of bytes", value),
				"m means thousandths; megabytes are M or Mi")
	}
	return quantity, nil
}

func atLeast(flag string, d, least time.Duration) error {
	if d < least {
		return fmt.Errorf("--%s %s is less than %s", flag, d, least)
	}
	return nil
}

// requireReason is the environment variable by which a platform team asks for reasons. Only a clear no
// switches it off.
const requireReason = "KUBECTL_ESHELL_REQUIRE_REASON"

// reasoned holds users to giving a reason where their platform wants one.
func (f *flags) reasoned(o Options) error {
	value := os.Getenv(requireReason)
	required, err := strconv.ParseBool(value)
	if value == "" || err == nil && !required || o.isPreview() || strings.TrimSpace(f.reason) != "" {
		return nil
	}
	return hint.Wrap(fmt.Errorf("a reason is required (%s)", requireReason), "add one: --reason TEXT")
}
