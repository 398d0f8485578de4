package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
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
		return hint.Wrap(err, "list the flags: "+cmd.CommandPath()+" --help")
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

// A joined command outlives its client by outlives, and has openTime to begin.
const (
	outlives = time.Minute
	openTime = 2 * time.Minute
)

// attaching is one more command in a session.
type attaching struct {
	Name    string
	Command []string // empty: a shell
	Stdin   bool
	TTY     *bool // nil: by what stdin and stdout are
	Quiet   bool
}

func newAttach(streams genericiooptions.IOStreams, status *int) *cobra.Command {
	a := attaching{}
	var tty bool
	var own *pflag.FlagSet
	return ours{
		use:   "attach NAME [flags] [-- COMMAND ARGS...]",
		short: "Open one more shell in a session",
		more: `NAME is one of kubectl eshell list. You can open any number of shells in a
session, which goes on when they end. A shell whose client is gone ends within a
minute.`,
		example: `  # A shell in a session that was started with --detach, or on another terminal
  kubectl eshell attach api-eshell-x7k2p

  # A command in it
  kubectl eshell attach api-eshell-x7k2p -- bin/rails runner 'puts User.count'`,
		flags: func(set *pflag.FlagSet) {
			own = set
			set.BoolVarP(&a.Stdin, "stdin", "i", true, "pass stdin to the command")
			set.BoolVarP(&tty, "tty", "t", false,
				"run on a terminal (default: when stdin and stdout are one)")
			set.BoolVarP(&a.Quiet, "quiet", "q", false, "print only output, warnings and errors")
		},
		runs: true,
		parse: func(words, command []string) (func(context.Context, *sessionCommand) error, error) {
			if own.Changed("tty") {
				a.TTY = &tty
			}
			if len(words) != 1 {
				return nil, hint.Wrap(fmt.Errorf("expected one session name, got %d words", len(words)),
					"list sessions: kubectl eshell list; a command goes after two dashes")
			}
			a.Name, a.Command = strings.TrimPrefix(words[0], "pod/"), command
			if problems := validation.IsDNS1123Subdomain(a.Name); len(problems) > 0 {
				return nil, hint.Wrap(fmt.Errorf("%q is not a session's name: %s", words[0], problems[0]),
					"list sessions: kubectl eshell list")
			}
			return func(ctx context.Context, c *sessionCommand) (err error) {
				*status, err = c.attach(ctx, a)
				return err
			}, nil
		},
	}.command(streams)
}

// attach runs a command in a session and returns its exit status.
func (c *sessionCommand) attach(ctx context.Context, a attaching) (int, error) {
	c.out.quiet = a.Quiet
	found, err := inventory.Lookup(ctx, c.cluster.Client, c.namespace, a.Name)
	if err != nil {
		return 0, err
	}
	if found.Unread != nil {
		c.out.Warn("some of the session could not be read: %v", found.Unread)
	}
	s, err := found.Find(a.Name)
	if err != nil {
		return 0, err
	}
	if err := joinable(s, found.User); err != nil {
		return 0, err
	}
	options := Options{Stdin: a.Stdin, TTY: a.TTY, StartTimeout: openTime, Plan: plan.Options{
		Session: s.Name[strings.LastIndex(s.Name, "-")+1:], HeartbeatTimeout: outlives,
		TTL:     s.RemainingOrYear(time.Now()),
		Command: a.Command, Term: os.Getenv("TERM"), Toolbox: s.Toolbox(),
	}}
	options.Plan.TTY = useTTY(options, &c.streams, c.out)
	config := sessionConfig(options, c.connection, c.streams, c.out)
	if followed := s.Follow(c.cluster.Client); followed != nil {
		config.Lease = followed
	}
	return session.Join(ctx, config,
		plan.Join(plan.Place{Mode: plan.Mode(s.Mode), Namespace: s.Namespace, Pod: s.Pod,
			Container: s.Container}, options.Plan))
}

// joinable refuses sessions in which no command can run, and those of others: theirs is for them to
// share.
func joinable(s inventory.Session, user string) error {
	switch {
	case s.User != "" && user != "" && s.User != user:
		return hint.Wrap(fmt.Errorf("session %s belongs to %s, and you are %s", s.Name, s.User, user),
			"list your sessions: kubectl eshell list -n "+s.Namespace)
	case s.State == inventory.Starting:
		return hint.Wrap(fmt.Errorf("session %s has not started yet", s.Name),
			"see its progress: kubectl describe pod "+s.Pod+" -n "+s.Namespace)
	case s.State != inventory.Running && s.State != inventory.Unknown:
		return hint.Wrap(fmt.Errorf("session %s has ended", s.Name),
			"list running sessions: kubectl eshell list -n "+s.Namespace)
	case s.Pod == "" || s.Container == "":
		return fmt.Errorf("the lease of session %s does not name its pod and container", s.Name)
	}
	return nil
}
