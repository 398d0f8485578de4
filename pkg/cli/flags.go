package cli

import (
	"fmt"
	"strings"
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

	source   sourceFlags
	parts    partsFlags
	labels   labelFlags
	identity identityFlags
	node     string
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

// partsFlags say what comes along beside the container.
type partsFlags struct {
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
	f := &flags{config: genericclioptions.NewConfigFlags(true), set: pflag.NewFlagSet("eshell", pflag.ContinueOnError)}
	f.define(f.group("Flags", false))
	along := f.group("Clone: what it takes along", true)
	f.source.define(along)
	f.parts.define(along)
	place := f.group("Clone: labels, rights and place", true)
	f.labels.define(place)
	f.identity.define(place)
	place.StringVar(&f.node, "node", "", "run on the node `NAME`, by affinity")
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

func (f *flags) define(set *pflag.FlagSet) {
	set.StringVar(&f.mode, "mode", string(plan.ModeClone), `a new pod ("clone"), or a running one ("debug")`)
	set.StringVarP(&f.container, "container", "c", "", "container to take (default: the pod's default one, or the first)")
	set.StringSliceVar(&f.command, "command", nil, "command, separated by commas; the same as the words after --")
	set.StringVar(&f.image, "image", "", "image to run instead of the container's own")
	set.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE sets a variable, NAME- removes one; may be repeated")
	set.StringVar(&f.cpu, "cpu", "", "cpu request and limit, as in 500m (clone)")
	set.StringVar(&f.memory, "memory", "", "memory request and limit, as in 2Gi (clone)")
	set.BoolVarP(&f.stdin, "stdin", "i", true, "pass stdin to the command")
	set.BoolVarP(&f.tty, "tty", "t", false, "run on a terminal (default: when stdin and stdout are one)")
	set.StringVar(&f.via, "via", "", `"exec": nothing is logged; "attach": as the main process`)
	set.DurationVar(&f.startTimeout, "start-timeout", 2*time.Minute, "how long the session may take to start")
	set.DurationVar(&f.lease, "lease", 2*time.Minute, "how long the session outlives its client")
	set.DurationVar(&f.ttl, "ttl", 8*time.Hour, "how long the session lives at most")
	set.StringVar(&f.reason, "reason", "", "why the session is opened, for the record")
	set.BoolVar(&f.wait, "wait", false, "at the end, wait until the clone is gone")
	set.BoolVar(&f.detach, "detach", false, "start the session, print its name and leave it running")
	set.BoolVar(&f.explain, "explain", false, "say what a session would be and why, and start none")
	set.StringVar(&f.dryRun, "dry-run", string(DryRunNone), `only print the pod: none, client or server`)
	set.StringVarP(&f.output, "output", "o", "", "print the dry run's pod as yaml, json or name")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "print only output, warnings and errors")
	set.Int32VarP(&f.verbosity, "v", "v", 0, "log level for the requests that eshell makes")
}

func (s *sourceFlags) define(set *pflag.FlagSet) {
	set.StringVarP(&s.filename, "filename", "f", "", "take the workload from `FILE`, not from the cluster; - is stdin")
	set.Int64Var(&s.revision, "revision", 0, "take revision `N` of it (kubectl rollout history)")
	set.BoolVar(&s.pin, "pin", false, "run the very images that its pods run, by digest")
	set.BoolVar(&s.entrypoint, "entrypoint", false, "run the image's entrypoint, with the command as its arguments")
	set.StringVar(&s.toolbox, "toolbox", "", "bring a shell along from `IMAGE`, for images without one")
	set.StringVar(&s.overrides, "overrides", "", "patch the finished pod with this `JSON`")
	set.StringVar(&s.overrideType, "override-type", "merge", "the patch's type: json, merge or strategic")
}

func (p *partsFlags) define(set *pflag.FlagSet) {
	set.StringSliceVar(&p.with, "with", nil, "run the containers and sidecars `NAME,...` too")
	set.BoolVar(&p.withAll, "with-all", false, "run all of its containers and sidecars")
	set.StringSliceVar(&p.init, "init", nil, "init containers to run: auto, all, none or `NAME,...` (default auto)")
	set.StringVar(&p.volumes, "volumes", "", `claims: "shared", "readonly", or "fresh" ones instead`)
	set.IntVar(&p.ordinal, "ordinal", 0, "take the claims of the stateful set's pod number `N`")
	set.BoolVar(&p.noDevices, "no-devices", false, "leave out GPUs and other devices")
}

func (l *labelFlags) define(set *pflag.FlagSet) {
	set.BoolVar(&l.keep, "keep-labels", false, "keep all labels; the clone is never ready, so it gets no traffic")
	set.StringSliceVar(&l.set, "labels", nil, "add the labels `KEY=VALUE,...`")
	set.StringSliceVar(&l.drop, "drop-labels", nil, "leave out the labels `KEY,...`")
}

func (i *identityFlags) define(set *pflag.FlagSet) {
	set.StringVar(&i.serviceAccount, "service-account", "", "run as the service account `NAME`")
	set.BoolVar(&i.noToken, "no-token", false, "mount no service account token")
	set.StringVar(&i.asUser, "as-user", "", "run as the user `UID[:GID]`, in numbers")
	set.StringArrayVar(&i.pullSecrets, "image-pull-secret", nil, "pull images with the secret `NAME` as well; may be repeated")
}

func (f *flags) addTo(command *cobra.Command) {
	connection := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	f.config.AddFlags(connection)
	command.Flags().AddFlagSet(f.set)
	command.Flags().AddFlagSet(connection)
	command.Flags().SortFlags = false
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		paragraphs := append(f.groups, group{title: "Connection, as for kubectl", FlagSet: connection})
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n%s", usageLine, cmd.Example, usages(paragraphs))
		return err
	})
}

const (
	arguments = "(TYPE/NAME | TYPE NAME | -f FILE) [flags] [-- COMMAND ARGS...]"
	usageLine = "kubectl eshell " + arguments
	helpWidth = 100
)

func usages(groups []group) string {
	var text strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&text, "\n%s:\n%s", g.title, g.FlagUsagesWrapped(helpWidth))
	}
	return text.String()
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
