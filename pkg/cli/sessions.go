package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// sessionCommands are those about sessions that there are.
func sessionCommands(streams genericiooptions.IOStreams, status *int) []*cobra.Command {
	return []*cobra.Command{newAttach(streams, status), newList(streams), newDelete(streams),
		newExtend(streams), newGC(streams)}
}

// sessionCommand is what the commands about sessions share: the cluster, and where they print.
type sessionCommand struct {
	connection
	streams genericiooptions.IOStreams
	out     *printer
}

// ours is one of the commands about sessions: what it does, once its words are parsed.
type ours struct {
	use, short, more, example string
	flags                     func(*pflag.FlagSet)
	runs                      bool // a command, whose words come after two dashes
	parse                     func(words, command []string) (func(context.Context, *sessionCommand) error,
		error)
}

func (o ours) command(streams genericiooptions.IOStreams) *cobra.Command {
	config := genericclioptions.NewConfigFlags(true)
	command := &cobra.Command{
		Use: o.use, Short: o.short, Long: o.short + ".\n\n" + o.more, Example: o.example,
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs, // parse judges them
		RunE: func(cmd *cobra.Command, words []string) error {
			var program []string
			if dash := cmd.ArgsLenAtDash(); dash >= 0 && o.runs {
				words, program = words[:dash], words[dash:]
			}
			do, err := o.parse(words, program)
			if err != nil {
				return err
			}
			quietLogs(0)
			c := &sessionCommand{streams: streams, out: newPrinter(streams.ErrOut, false)}
			if c.connection, err = connect(config, c.out); err != nil {
				return err
			}
			return session.Interrupted(cmd.Context(), do(cmd.Context(), c))
		},
	}
	command.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hint.Wrap(err, "the flags are in: "+cmd.CommandPath()+" --help")
	})
	o.addFlags(command, config)
	return command
}

func (o ours) addFlags(command *cobra.Command, config *genericclioptions.ConfigFlags) {
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	o.flags(own)
	command.Flags().AddFlagSet(own)
	config.AddFlags(command.Flags())
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		var flags string
		if own.HasFlags() {
			flags = usages([]group{{title: "Flags", FlagSet: own}})
		}
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n%s%s", cmd.UseLine(),
			cmd.Example, flags, moreOptions)
		return err
	})
}

// read is the inventory of the namespace, or of all; what of it may not be read is told.
func (c *sessionCommand) read(ctx context.Context, everywhere bool) (*inventory.Inventory, error) {
	namespace := c.namespace
	if everywhere {
		namespace = ""
	}
	found, err := inventory.Read(ctx, c.cluster.Client, namespace)
	if err == nil && found.Unread != nil {
		c.out.Warn("the session list is incomplete: %v", found.Unread)
	}
	return found, err
}

// print writes a line of the product to stdout.
func (c *sessionCommand) print(format string, args ...any) error {
	_, err := fmt.Fprintln(c.streams.Out, plain(fmt.Sprintf(format, args...)))
	return written(err)
}

func (c *sessionCommand) printAll(lines []string) error {
	for _, line := range lines {
		if err := c.print("%s", line); err != nil {
			return err
		}
	}
	return nil
}
