package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const (
	arguments = "[TYPE/NAME | TYPE NAME | -f FILE] [flags] [-- COMMAND ARGS...]"
	usageLine = "kubectl eshell " + arguments
	helpWidth = 100
)

// shortUsage is for a user who typed nothing but the command's name, where there is no terminal for a list.
const shortUsage = `Open a shell next to a workload:

  kubectl eshell deploy/api                        # in a clone of its pods
  kubectl eshell deploy/api -- bin/rails console   # a program instead of a shell
  kubectl eshell pod/api-7d4b9 --mode debug        # beside the processes of a running pod

The workload is a deployment, statefulset, daemonset, job, cronjob, pod, or whatever has a pod template.
All flags and commands: kubectl eshell --help
`

// Where to find the rest of the help.
const (
	moreCommands = `
Use "kubectl eshell COMMAND --help" for more about a command.`
	moreOptions = `
Use "kubectl eshell options" for the flags of the connection: --namespace, --context and others.
`
)

// commandList returns a line for each command.
func commandList(cmd *cobra.Command) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "help" {
			fmt.Fprintf(table, "  %s\t%s\n", c.Name(), c.Short)
		}
	}
	_ = table.Flush() // into memory
	return text.String()
}

// usages returns the help of the flags by task. Neighbouring groups with the same title are merged.
func usages(groups []group) string {
	var text strings.Builder
	for i := 0; i < len(groups); {
		title, set := groups[i].title, pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		for ; i < len(groups) && groups[i].title == title; i++ {
			set.AddFlagSet(groups[i].FlagSet)
		}
		if set.HasFlags() {
			fmt.Fprintf(&text, "\n%s:\n%s", title, set.FlagUsagesWrapped(helpWidth))
		}
	}
	return text.String()
}

// newOptions returns the command that lists the flags of the connection, as kubectl options does.
func newOptions(streams genericiooptions.IOStreams) *cobra.Command {
	command := &cobra.Command{
		Use: "options", Short: "List the flags of the connection", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return writeConnectionFlags(streams.Out) },
	}
	command.SetUsageFunc(func(cmd *cobra.Command) error { return writeConnectionFlags(cmd.OutOrStderr()) })
	return command
}

func writeConnectionFlags(out io.Writer) error {
	set := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(set)
	_, err := fmt.Fprintf(out, "These flags can be passed to every command, as to kubectl:\n\n%s",
		set.FlagUsagesWrapped(helpWidth))
	return written(err)
}
