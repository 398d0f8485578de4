package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// flags are the words as they were typed. Nothing but options reads them.
type flags struct {
	config *genericclioptions.ConfigFlags // -n, --context, --kubeconfig, --as and their kin
	set    *pflag.FlagSet

	mode, via    string
	container    string
	command      []string
	image        string
	env          []string
	cpu, memory  string
	stdin, tty   bool
	startTimeout time.Duration
	quiet        bool
	verbosity    int32
}

func newFlags() *flags {
	f := &flags{config: genericclioptions.NewConfigFlags(true), set: pflag.NewFlagSet("eshell", pflag.ContinueOnError)}
	f.config.CacheDir = nil // for discovery, which eshell does without
	f.set.StringVar(&f.mode, "mode", string(plan.ModeClone), `"clone": a new pod from the workload; "debug": an ephemeral container in a running pod`)
	f.set.StringVarP(&f.container, "container", "c", "", "container to take (default: the pod's default container, else the first)")
	f.set.StringSliceVar(&f.command, "command", nil, "command to run, separated by commas; the same as the words after --")
	f.set.StringVar(&f.image, "image", "", "image to run instead of the container's own")
	f.set.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE sets a variable, NAME- removes one; may be repeated")
	f.set.StringVar(&f.cpu, "cpu", "", "cpu request and limit, as in 500m (clone)")
	f.set.StringVar(&f.memory, "memory", "", "memory request and limit, as in 2Gi (clone)")
	f.set.BoolVarP(&f.stdin, "stdin", "i", true, "pass stdin to the command")
	f.set.BoolVarP(&f.tty, "tty", "t", false, "run the command on a terminal (default: when stdin and stdout are one)")
	f.set.StringVar(&f.via, "via", "", `"exec": beside the container's process, nothing is logged; "attach": as the container's process (default: exec where permitted)`)
	f.set.DurationVar(&f.startTimeout, "start-timeout", 2*time.Minute, "how long the session may take to start")
	f.set.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but the command's output, warnings and errors")
	f.set.Int32VarP(&f.verbosity, "v", "v", 0, "log level for the requests that eshell makes")
	return f
}

func (f *flags) addTo(command *cobra.Command) {
	connection := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	f.config.AddFlags(connection)
	command.Flags().AddFlagSet(f.set)
	command.Flags().AddFlagSet(connection)
	command.Flags().SortFlags = false
	f.set.SortFlags = false
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n\nFlags:\n%s\nConnection, as for kubectl:\n%s",
			usageLine, cmd.Example, f.set.FlagUsagesWrapped(100), connection.FlagUsagesWrapped(100))
		return err
	})
}

const usageLine = "kubectl eshell (TYPE/NAME | TYPE NAME) [flags] [-- COMMAND ARGS...]"
