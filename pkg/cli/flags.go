package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// flags are the words as they were typed. Nothing but options reads them.
type flags struct {
	config *genericclioptions.ConfigFlags // -n, --context, --kubeconfig, --as and their kin
	groups []group
	set    *pflag.FlagSet // all groups together

	mode, via    string
	container    string
	command      []string
	image        string
	env          []string
	cpu, memory  string
	stdin, tty   bool
	startTimeout time.Duration
	lease, ttl   time.Duration
	reason       string
	wait         bool
	detach       bool
	quiet        bool
	verbosity    int32

	explain        bool
	dryRun, output string

	source     sourceFlags
	components componentFlags
	labels     labelFlags
	identity   identityFlags
	node       string
}

// sourceFlags say what a clone is made from, and what is made of it.
type sourceFlags struct {
	filename   string
	revision   int64
	pin        bool
	entrypoint bool
	toolbox    string

	overrides, overrideType string
}

// componentFlags say what comes along beside the container.
type componentFlags struct {
	with      []string
	withAll   bool
	init      []string
	volumes   string
	ordinal   int
	noDevices bool
}

type labelFlags struct {
	keep      bool
	set, drop []string
}

type identityFlags struct {
	serviceAccount string
	noToken        bool
	asUser         string
	pullSecrets    []string
}

// group is a paragraph of the help.
type group struct {
	title string
	*pflag.FlagSet
	clone bool // these flags say something about a clone only
}

func newFlags() *flags {
	f := &flags{config: genericclioptions.NewConfigFlags(true),
		set: pflag.NewFlagSet("eshell", pflag.ContinueOnError)}
	f.defineTarget(f.group("Target", false))
	f.source.defineTarget(f.group("Target", true))
	f.defineProcess(f.group("What runs", false))
	f.source.defineProcess(f.group("What runs", true))
	f.components.define(f.group("What runs", true))
	f.labels.define(f.group("Isolation", true))
	f.identity.define(f.group("Isolation", true))
	f.definePlace(f.group("Isolation", true))
	f.defineLifetime(f.group("Lifetime", false))
	f.defineMode(f.group("Debug", false))
	f.defineOutput(f.group("Output", false))
	for _, g := range f.groups {
		f.set.AddFlagSet(g.FlagSet)
	}
	return f
}

func (f *flags) group(title string, clone bool) *pflag.FlagSet {
	set := pflag.NewFlagSet(title, pflag.ContinueOnError)
	set.SortFlags = false
	f.groups = append(f.groups, group{title, set, clone})
	return set
}

func (f *flags) defineTarget(set *pflag.FlagSet) {
	set.StringVarP(&f.container, "container", "c", "",
		"use the container `NAME` (default: the pod's default one, or the first)")
}

func (f *flags) defineProcess(set *pflag.FlagSet) {
	set.StringSliceVar(&f.command, "command", nil, "run `WORD,...`; the same as the words after --")
	set.StringVar(&f.image, "image", "", "run `IMAGE` instead of the container's own")
	set.StringArrayVarP(&f.env, "env", "e", nil,
		"set a variable by `NAME=VALUE`, remove it by NAME-; can be repeated")
	set.StringVar(&f.cpu, "cpu", "", "request and limit `QUANTITY` of cpu, as in 500m (clone)")
	set.StringVar(&f.memory, "memory", "", "request and limit `QUANTITY` of memory, as in 2Gi (clone)")
	set.BoolVarP(&f.stdin, "stdin", "i", true, "pass stdin to the command")
	set.BoolVarP(&f.tty, "tty", "t", false, "run on a terminal (default: when stdin and stdout are one)")
	set.StringVar(&f.via, "via", "",
		"run by `WAY`: exec (nothing is logged), or attach (the main process)")
}

func (f *flags) definePlace(set *pflag.FlagSet) {
	set.StringVar(&f.node, "node", "", "run on the node `NAME`, by affinity")
}

func (f *flags) defineLifetime(set *pflag.FlagSet) {
	set.DurationVar(&f.startTimeout, "start-timeout", 2*time.Minute,
		"fail if the session has not started after `DURATION`")
	set.DurationVar(&f.lease, "lease", 2*time.Minute, "end the session `DURATION` after its client is gone")
	set.DurationVar(&f.ttl, "ttl", 8*time.Hour, "end the session after `DURATION` unless extended")
	set.BoolVar(&f.wait, "wait", false, "at the end, wait until the clone is gone")
	set.BoolVar(&f.detach, "detach", false, "start the session, print its name and leave it running")
	set.StringVar(&f.reason, "reason", "", "record `TEXT`: why the session is opened")
}

func (f *flags) defineMode(set *pflag.FlagSet) {
	set.StringVar(&f.mode, "mode", string(plan.ModeClone),
		"run in `MODE`: clone (a new pod), or debug (a running pod)")
}

func (f *flags) defineOutput(set *pflag.FlagSet) {
	set.BoolVar(&f.explain, "explain", false, "explain what would be created and why; create nothing")
	set.StringVar(&f.dryRun, "dry-run", string(DryRunNone),
		"only print the pod; `STRATEGY` is none, client or server")
	set.StringVarP(&f.output, "output", "o", "", "print the dry run's pod as `FORMAT`: yaml, json or name")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print only output, warnings and errors")
	set.Int32VarP(&f.verbosity, "v", "v", 0, "log the requests to the API server at level `N`")
}

func (s *sourceFlags) defineTarget(set *pflag.FlagSet) {
	set.StringVarP(&s.filename, "filename", "f", "",
		"read the workload from `FILE`, not from the cluster; - is stdin")
	set.Int64Var(&s.revision, "revision", 0, "use revision `N` of the workload (kubectl rollout history)")
	set.BoolVar(&s.pin, "pin", false, "run the exact images that its pods run, by digest")
}

func (s *sourceFlags) defineProcess(set *pflag.FlagSet) {
	set.BoolVar(&s.entrypoint, "entrypoint", false,
		"run the image's entrypoint, with the command as its arguments")
	set.StringVar(&s.toolbox, "toolbox", "", "add a shell and tools from `IMAGE`, for images without one")
	set.StringVar(&s.overrides, "overrides", "", "patch the finished pod with this `JSON`")
	set.StringVar(&s.overrideType, "override-type", "merge",
		"the patch is of `TYPE` json, merge or strategic")
}

func (p *componentFlags) define(set *pflag.FlagSet) {
	set.StringSliceVar(&p.with, "with", nil, "run the containers and sidecars `NAME,...` too")
	set.BoolVar(&p.withAll, "with-all", false, "run all of its containers and sidecars")
	set.StringSliceVar(&p.init, "init", nil,
		"run the init containers `NAME,...`, auto, all or none (default auto)")
	set.StringVar(&p.volumes, "volumes", "",
		"use claims as `KIND`: shared, readonly, or fresh (new and empty)")
	set.IntVar(&p.ordinal, "ordinal", 0, "use the claims of the StatefulSet's pod number `N`")
	set.BoolVar(&p.noDevices, "no-devices", false, "leave out GPUs and other devices")
}

func (l *labelFlags) define(set *pflag.FlagSet) {
	set.BoolVar(&l.keep, "keep-labels", false,
		"keep all labels; the clone is never ready, so it gets no traffic")
	set.StringSliceVar(&l.set, "labels", nil, "add the labels `KEY=VALUE,...`")
	set.StringSliceVar(&l.drop, "drop-labels", nil, "leave out the labels `KEY,...`")
}

func (i *identityFlags) define(set *pflag.FlagSet) {
	set.StringVar(&i.serviceAccount, "service-account", "", "run as the service account `NAME`")
	set.BoolVar(&i.noToken, "no-token", false, "mount no service account token")
	set.StringVar(&i.asUser, "as-user", "", "run as the user `UID[:GID]`, in numbers")
	set.StringArrayVar(&i.pullSecrets, "image-pull-secret", nil,
		"pull images with the secret `NAME` as well; can be repeated")
}

func (f *flags) addTo(command *cobra.Command) {
	command.Flags().AddFlagSet(f.set)
	f.config.AddFlags(command.Flags())
	command.Flags().SortFlags = false
	command.SetUsageFunc(f.writeUsage)
}

// cloneOnly returns the first flag that was given and means nothing without a clone, or "".
func (f *flags) cloneOnly() string {
	var name string
	for _, g := range f.groups {
		g.VisitAll(func(flag *pflag.Flag) {
			if g.clone && flag.Changed && name == "" {
				name = flag.Name
			}
		})
	}
	return name
}
