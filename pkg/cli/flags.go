package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/defaults"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// flags are the values of the command line as they were typed. Only the method options reads them.
type flags struct {
	config *genericclioptions.ConfigFlags // -n, --context, --kubeconfig, --as and the like
	groups []group
	set    *pflag.FlagSet // all groups together

	unnamed bool // the workload can be left out: the user is asked for it

	asked Options // what needs no parsing; the fields below are parsed into a copy

	configFile, use string
	origins         map[string][]defaults.Value // of the flags that have a default
	defaultEnv      []envWords                  // weakest first

	env          []string
	envFiles     []string
	cpu, memory  string
	pull         string
	escape       string
	detachKeys   string
	idle         string
	startTimeout string
	lease, ttl   string
	stdin, tty   bool
	init         []string
	ordinal      int
	labels       []string
	asUser       string
	overrideType string
	profile      string
	validate     string
	custom       string
	inherit      []string
	record       recordFlags
}

// group is a section of the help.
type group struct {
	title string
	*pflag.FlagSet
	mode plan.Mode // these flags apply to this mode only; empty: to both
}

func newFlags() *flags {
	f := &flags{config: genericclioptions.NewConfigFlags(true),
		set: pflag.NewFlagSet("eshell", pflag.ContinueOnError)}
	f.group("Target", "").StringVarP(&f.asked.Container, "container", "c", "",
		"use the container `NAME` (default: the pod's default one, or the first)")
	f.defineSource(f.group("Target", plan.ModeClone))
	f.defineProcess(f.group("What runs", ""))
	f.defineClone(f.group("What runs", plan.ModeClone))
	f.defineIsolation(f.group("Isolation", plan.ModeClone))
	f.defineLifetime(f.group("Lifetime", ""))
	f.group("Debug", "").StringVar((*string)(&f.asked.Mode), "mode", string(plan.ModeClone),
		"`MODE` is clone (a new pod) or debug (a live one)")
	f.defineDebug(f.group("Debug", plan.ModeDebug))
	f.defineOutput(f.group("Output", ""))
	f.defineDefaults(f.group("Defaults", ""))
	for _, g := range f.groups {
		f.set.AddFlagSet(g.FlagSet)
	}
	return f
}

func (f *flags) group(title string, mode plan.Mode) *pflag.FlagSet {
	set := pflag.NewFlagSet(title, pflag.ContinueOnError)
	set.SortFlags = false
	f.groups = append(f.groups, group{title, set, mode})
	return set
}

func (f *flags) defineSource(set *pflag.FlagSet) {
	set.StringVarP(&f.asked.Filename, "filename", "f", "",
		"read the workload from `FILE`, not from the cluster; - is stdin")
	set.Int64Var(&f.asked.Revision, "revision", 0,
		"use revision `N` of the workload (kubectl rollout history)")
	set.BoolVar(&f.asked.Plan.Pin, "pin", false, "run the exact images that its pods run, by digest")
}

func (f *flags) defineDebug(set *pflag.FlagSet) {
	set.StringVar((*string)(&f.asked.PodSelection), "pod-selection", "",
		"debug the `WHICH` pod: newest, oldest, unready or crashing")
	o := &f.asked.Plan.Debug
	set.StringVar(&f.profile, "profile", "",
		"`RIGHTS`: "+strings.Join(profiles(), ", "))
	set.StringVar(&f.custom, "custom", "", "merge the partial container in `FILE` into the debug container")
	set.StringSliceVar(&f.inherit, "inherit", nil,
		"inherit `PART,...` of env, volumes, security; or none")
	set.StringVar(&o.DefaultImage, "debug-image", "", "run `IMAGE` if the target's own has no shell")
	set.BoolVar(&o.EnvFromProcess, "env-from-process", false,
		"take the environment of its target's process too")
	set.BoolVar(&o.Chroot, "chroot", false, "run in its target's root filesystem, with the image's tools")
	set.BoolVar(&o.New, "new", false, "add a container even if one like it is running")
}

// defaultEscape is ssh's.
const defaultEscape = "~"

func (f *flags) defineProcess(set *pflag.FlagSet) {
	o := &f.asked
	set.StringSliceVar(&o.Plan.Command, "command", nil, "run `WORD,...`; the same as the words after --")
	set.StringVar(&o.Plan.Image, "image", "", "run `IMAGE` instead of the container's own")
	set.StringVar(&f.pull, "pull", "", "pull the image `WHEN`: always, missing or never")
	set.StringArrayVarP(&f.env, "env", "e", nil,
		"set `NAME=VALUE`, pass on NAME from here, remove NAME-; can be repeated")
	set.StringArrayVar(&f.envFiles, "env-file", nil,
		"set the variables in `FILE`: lines with NAME=VALUE or NAME")
	set.StringVar(&f.cpu, "cpu", "", "request and limit `QUANTITY` of cpu, as in 500m (clone)")
	set.StringVar(&f.memory, "memory", "", "request and limit `QUANTITY` of memory, as in 2Gi (clone)")
	set.BoolVarP(&f.stdin, "stdin", "i", false,
		"pass stdin to the command (default: to a shell, and on a terminal)")
	set.BoolVarP(&f.tty, "tty", "t", false, "run on a terminal (default: when stdin and stdout are one)")
	set.StringVar(&f.escape, "escape", defaultEscape,
		"Enter, `CHAR`, dot ends it, d leaves it; none: off")
	set.StringVar((*string)(&o.Plan.Via), "via", "",
		"run by `WAY`: exec (nothing is logged), or attach (the main process)")
}

func (f *flags) defineClone(set *pflag.FlagSet) {
	o, parts := &f.asked.Plan, &f.asked.Plan.Components
	set.BoolVar(&o.Entrypoint, "entrypoint", false,
		"run the image's entrypoint, with the command as its arguments")
	set.StringVar(&o.Toolbox, "toolbox", "", "add a shell and tools from `IMAGE`, a static busybox")
	set.StringVar(&o.DefaultToolbox, "toolbox-image", "",
		"add those from `IMAGE` if the container's own has no shell")
	set.StringVar(&o.Overrides.Patch, "overrides", "", "patch the finished pod with this `JSON`")
	set.StringVar(&f.overrideType, "override-type", "merge",
		"the patch is of `TYPE` json, merge or strategic")
	set.StringSliceVar(&parts.With, "with", nil, "run the containers and sidecars `NAME,...` too")
	set.BoolVar(&parts.WithAll, "with-all", false, "run all of its containers and sidecars")
	set.StringSliceVar(&f.init, "init", nil,
		"run the init containers `NAME,...`, auto, all or none (default auto)")
	set.StringVar((*string)(&parts.Volumes), "volumes", "",
		"use claims as `KIND`: shared, readonly, or fresh (new and empty)")
	set.IntVar(&f.ordinal, "ordinal", 0, "use the claims of the StatefulSet's pod number `N`")
	set.BoolVar(&parts.NoDevices, "no-devices", false, "leave out GPUs and other devices")
}

func (f *flags) defineIsolation(set *pflag.FlagSet) {
	labels, identity := &f.asked.Plan.Labels, &f.asked.Plan.Identity
	set.BoolVar(&labels.Keep, "keep-labels", false,
		"keep all labels; the clone is never ready, so it gets no traffic")
	set.StringSliceVar(&f.labels, "labels", nil, "add the labels `KEY=VALUE,...`")
	set.StringSliceVar(&labels.Drop, "drop-labels", nil, "leave out the labels `KEY,...`")
	set.StringVar(&identity.ServiceAccount, "service-account", "", "run as the service account `NAME`")
	set.BoolVar(&identity.NoToken, "no-token", false, "mount no service account token")
	set.StringVar(&f.asUser, "as-user", "", "run as the user `UID[:GID]`, in numbers")
	set.StringArrayVar(&identity.PullSecrets, "image-pull-secret", nil,
		"pull images with the secret `NAME` as well; can be repeated")
	set.StringVar(&f.asked.Plan.Node, "node", "", "run on the node `NAME`, by affinity")
}

func (f *flags) defineLifetime(set *pflag.FlagSet) {
	o := &f.asked
	o.StartTimeout, o.Plan.HeartbeatTimeout, o.Plan.TTL = 2*time.Minute, 2*time.Minute, 8*time.Hour
	set.StringVar(&f.startTimeout, "start-timeout", "",
		"fail if the session has not started after `DURATION` (default 2m)")
	set.StringVar(&f.lease, "lease", "", "end the session `DURATION` after its client is gone (default 2m)")
	set.StringVar(&f.ttl, "ttl", "", "end the session after `DURATION` unless extended (default 8h)")
	set.StringVar(&f.idle, "idle", "", "end it when nothing is typed or shown for `DURATION`")
	set.BoolVar(&o.Wait, "wait", false, "at the end, wait until the clone is gone")
	set.BoolVar(&o.Plan.Detach, "detach", false, "start the session, print its name and leave it running")
	set.StringVar(&f.detachKeys, "detach-keys", "", "leave it running by `KEYS`, as in ctrl-p,ctrl-q")
	set.StringVar(&o.Plan.Reason, "reason", "", "record `TEXT`: why the session is opened")
}

func (f *flags) defineOutput(set *pflag.FlagSet) {
	o := &f.asked
	set.BoolVar(&o.Explain, "explain", false, "explain what would be created and why; create nothing")
	set.StringVar((*string)(&o.DryRun), "dry-run", string(DryRunNone),
		"only print the pod; `HOW`: none, client, server")
	set.Lookup("dry-run").NoOptDefVal = string(DryRunClient)
	set.StringVarP(&o.Output, "output", "o", "", "print the dry run's pod as `FORMAT`: yaml, json or name")
	set.StringVar(&f.validate, "validate", "", "let the server validate fields `HOW`: strict, warn or ignore")
	set.Lookup("validate").NoOptDefVal = "strict"
	set.StringVar(&o.FieldManager, "field-manager", "", "record `NAME` as the owner of what is created")
	f.record.define(set)
	set.BoolVarP(&o.Quiet, "quiet", "q", false, "print only output, warnings and errors")
	set.Int32VarP(&o.Verbosity, "v", "v", 0, "log the requests to the API server at level `N`")
}

func (f *flags) defineDefaults(set *pflag.FlagSet) {
	set.StringVar(&f.configFile, configFlag, "",
		"take defaults from `FILE` (default $XDG_CONFIG_HOME/kubectl-eshell/config.yaml)")
	set.StringVar(&f.use, defaults.Use, "", "take those of the file's set `NAME` too")
}

func (f *flags) addTo(command *cobra.Command) {
	command.Flags().AddFlagSet(f.set)
	f.config.AddFlags(command.Flags())
	command.Flags().SortFlags = false
	answerer{f.config}.addTo(command)
	command.ValidArgsFunction = answerer{f.config}.workloads
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n\nCommands:\n%s%s%s",
			usageLine, cmd.Example, commandList(cmd), usages(f.groups), moreCommands+moreOptions)
		return err
	})
}

// notOf returns the first flag that was given and does not apply to a mode, or "".
func (f *flags) notOf(mode plan.Mode) string {
	var name string
	for _, g := range f.groups {
		g.VisitAll(func(flag *pflag.Flag) {
			if g.mode != "" && g.mode != mode && flag.Changed && name == "" {
				name = flag.Name
			}
		})
	}
	return name
}
