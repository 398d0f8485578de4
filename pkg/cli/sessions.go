package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// sessionCommand is what the commands for existing sessions share: the cluster, and where they print.
type sessionCommand struct {
	connection
	flags   *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	stdout  io.Writer // for the product
	out     *printer
}

// sessionCommands returns the commands for existing sessions, those about permissions, and version.
func sessionCommands(streams genericiooptions.IOStreams, version string, status *int) []*cobra.Command {
	c := &sessionCommand{flags: genericclioptions.NewConfigFlags(true).WithWrapConfigFn(identify(version)),
		streams: streams}
	commands := []*cobra.Command{newAttach(c, status), newList(c), newDelete(c), newExtend(c), newGC(c),
		newCheck(c, status), newRBAC(c), newVersion(c, version)}
	for _, command := range commands {
		c.addTo(command)
	}
	return commands
}

// addTo adds the connection's flags to a command. The command's help leaves them out.
func (c *sessionCommand) addTo(command *cobra.Command) {
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	own.AddFlagSet(command.Flags())
	c.flags.AddFlags(command.Flags())
	answerer{c.flags}.addTo(command)
	command.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return explainFlag(cmd, err, "list the flags: "+cmd.CommandPath()+" --help")
	})
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n%s%s", cmd.UseLine(),
			cmd.Example, usages([]group{{title: "Flags", FlagSet: own}}), moreOptions)
		return err
	})
}

// run connects to the cluster and calls do.
func (c *sessionCommand) run(ctx context.Context, do func(context.Context) error) (err error) {
	c.out, c.stdout = newPrinter(c.streams.ErrOut, false), stream.Interruptible(ctx, c.streams.Out)
	setLogs(0, c.out.out)
	if c.connection, err = connect(ctx, c.flags, c.out); err != nil {
		return err
	}
	c.out.context, c.out.kubeContext = c.connection.context, *c.flags.Context
	return session.Interrupted(ctx, do(ctx))
}

// read returns the inventory of the namespace, or of all namespaces. It warns if some of it could not be
// read.
func (c *sessionCommand) read(ctx context.Context, everywhere bool) (*inventory.Inventory, error) {
	namespace := c.namespace
	if everywhere {
		namespace = ""
	}
	found, err := inventory.Read(ctx, c.cluster.Client, namespace)
	if err == nil && found.Unread != nil {
		c.out.Warn("the session list is incomplete: %v", found.Unread)
	}
	if everywhere && apierrors.IsForbidden(err) {
		err = hint.Wrap(err, "without -A, only one namespace is read: -n NAMESPACE")
	}
	return found, err
}

// print writes a line of the result to stdout.
func (c *sessionCommand) print(format string, args ...any) error {
	_, err := fmt.Fprintln(c.stdout, plain(fmt.Sprintf(format, args...)))
	return written(err)
}

// A joined command outlives its client by outlives at most, and has openTime to start.
const (
	outlives = time.Minute
	openTime = 2 * time.Minute
)

// attaching are the flags of attach as they were typed.
type attaching struct {
	asked             Options // what needs no parsing
	escape, idle      string
	startTimeout      string
	stdin, tty, force bool
	record            recordFlags
}

func newAttach(c *sessionCommand, status *int) *cobra.Command {
	a := &attaching{asked: Options{StartTimeout: openTime}}
	command := &cobra.Command{
		Use:   "attach [NAME | TYPE/NAME] [flags] [-- COMMAND ARGS...]",
		Short: "Open one more shell in a session",
		Long: `Open one more shell in a session.

NAME is one of kubectl eshell list. TYPE/NAME is the workload of your session.
Both can be left out: if you have several sessions, a list of them appears on a
terminal. You can open any number of shells in a session, which goes on when they
end. A shell whose client is gone ends within a minute.`,
		Example: `  # A shell in your session, if you have one
  kubectl eshell attach

  # A shell in a session that was started with --detach, or on another terminal
  kubectl eshell attach api-eshell-x7k2p

  # A command in it
  kubectl eshell attach api-eshell-x7k2p -- bin/rails runner 'puts User.count'`,
		ValidArgsFunction: answerer{c.flags}.sessions(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			o, err := a.withDefaults(cmd.Context(), cmd.Flags(), c.flags)
			if err != nil {
				return err
			}
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				words, o.Plan.Command = words[:dash], words[dash:]
			}
			name, source, err := parseSessionOrSource(words)
			if err != nil {
				return err
			}
			return c.run(cmd.Context(), func(ctx context.Context) (err error) {
				c.out.quiet = o.Quiet
				if name == "" {
					if name, err = c.onlySession(ctx, source); err != nil {
						return err
					}
				}
				*status, err = c.attach(ctx, name, o, a.force)
				return err
			})
		},
	}
	a.define(command.Flags())
	return command
}

func (a *attaching) define(set *pflag.FlagSet) {
	set.BoolVarP(&a.stdin, "stdin", "i", false,
		"pass stdin to the command (default: to a shell, and on a terminal)")
	set.BoolVarP(&a.tty, "tty", "t", false, "run on a terminal (default: when stdin and stdout are one)")
	set.StringVar(&a.escape, "escape", defaultEscape, "end a stuck shell by Enter, `CHAR`, dot; none: off")
	set.StringVar(&a.idle, "idle", "", "end the shell when nothing is typed or shown for `DURATION`")
	set.StringVar(&a.startTimeout, "start-timeout", "",
		"fail if the shell has not started after `DURATION` (default 2m)")
	set.BoolVar(&a.force, "force", false, "attach to somebody else's session; eshell tells its owner")
	a.record.define(set)
	set.BoolVarP(&a.asked.Quiet, "quiet", "q", false, "print only output, warnings and errors")
}

// withDefaults returns the options of set, in which flags that were not typed have the defaults of kubectl
// eshell's own: those that are about any shell, by which a team protects what is open. What else a shell is
// like was decided when its session began.
func (a *attaching) withDefaults(ctx context.Context, set *pflag.FlagSet,
	config *genericclioptions.ConfigFlags) (Options, error) {
	f := newFlags()
	f.config = config
	_ = f.set.Set("detach", "false") // what a detached session does not need is for the shells in it
	shared := []string{"idle", "escape", "start-timeout", "record", "record-format", "record-input"}
	for _, name := range shared {
		if own := set.Lookup(name); own.Changed {
			_ = f.set.Set(name, own.Value.String()) // which has been parsed
		}
	}
	if err := f.takeDefaults(ctx, nil, -1); err != nil {
		return Options{}, err
	}
	for _, name := range shared {
		if own := set.Lookup(name); !own.Changed && name != "record" && len(f.origins[name]) > 0 {
			_ = own.Value.Set(f.set.Lookup(name).Value.String())
		}
	}
	o, err := a.options(set)
	return o, f.blame(err)
}

// options parses the flags of set, which are those of define.
func (a *attaching) options(set *pflag.FlagSet) (Options, error) {
	o := a.asked
	if set.Changed("stdin") {
		o.Stdin = &a.stdin
	}
	if set.Changed("tty") {
		o.TTY = &a.tty
	}
	if set.Changed("idle") {
		o.Typed = append(o.Typed, "idle")
	}
	record, unrecorded := a.record.options(set)
	o.Record = record
	return o, cmp.Or(
		parseEscape(&o.Escape, a.escape),
		refuse(set.Changed("idle") && a.idle == "", "--idle is empty", ""),
		parseIdle(&o.Idle, a.idle),
		parseDurationFlag(&o.StartTimeout, "start-timeout", a.startTimeout, time.Second),
		unrecorded,
	)
}

// parseSessionOrSource returns the name of a session, or the workload of one, or neither.
func parseSessionOrSource(words []string) (name string, source workload.Reference, err error) {
	if len(words) == 0 {
		return "", source, nil
	}
	hasPrefix := inventory.BareName(words[0]) != words[0]
	if isType := strings.Contains(words[0], "/") && !hasPrefix || len(words) > 1 &&
		!strings.Contains(words[0], "eshell-"); isType {
		source, err = workload.ParseReference(words)
		return "", source, err
	}
	name, err = parseSession(words)
	return name, source, err
}

// onlySession returns the name of the caller's one session that lives, of a workload if one is named. On a
// terminal the user chooses from several.
func (c *sessionCommand) onlySession(ctx context.Context, source workload.Reference) (string, error) {
	found, err := c.read(ctx, false)
	if err != nil {
		return "", err
	}
	if found.User == "" {
		return "", hint.Wrap(
			fmt.Errorf("could not determine your user name, so it is not known which sessions are yours"),
			hint.Command("name one: kubectl eshell attach NAME -n %s", c.namespace))
	}
	of := ""
	if source != (workload.Reference{}) {
		of = " of " + source.String()
	}
	var sessions []inventory.Session
	var names []string
	for _, s := range found.Own() {
		lives := s.State == inventory.Starting || s.State == inventory.Running || s.State == inventory.Unknown
		if lives && (of == "" || s.Source == source.String()) {
			sessions, names = append(sessions, s), append(names, found.Unambiguous(s))
		}
	}
	switch {
	case len(names) == 0:
		return "", hint.Wrap(fmt.Errorf("you have no session%s in namespace %s", of, c.namespace),
			hint.Command("list everybody's: kubectl eshell list --all-users -n %s", c.namespace))
	case len(names) == 1:
		return names[0], nil
	case canChoose(c.streams):
		return c.chooseSession(ctx, sessions, names)
	}
	return "", hint.Wrap(fmt.Errorf("you have %d sessions%s in namespace %s: %s", len(names), of, c.namespace,
		strings.Join(names, ", ")),
		hint.Command("name one: kubectl eshell attach %s -n %s", names[0], c.namespace))
}

func parseSession(names []string) (string, error) {
	if len(names) != 1 {
		err := fmt.Errorf("expected one session name, got %d words", len(names))
		if len(names) > 1 {
			return "", hint.Wrap(err, hint.Command("a command goes after two dashes: "+
				"kubectl eshell attach %s --"+strings.Repeat(" %s", len(names)-1), names...))
		}
		return "", hint.Wrap(err, "list sessions: kubectl eshell list")
	}
	if problems := validation.IsDNS1123Subdomain(inventory.BareName(names[0])); len(problems) > 0 {
		return "", hint.Wrap(fmt.Errorf("%q is not a session's name: %s", names[0],
			words.Rule(problems[0])),
			"list sessions: kubectl eshell list")
	}
	return names[0], nil
}

// attach runs a command in a session and returns its exit status.
func (c *sessionCommand) attach(ctx context.Context, name string, o Options, force bool) (int, error) {
	ctx, recording, err := o.startRecording(ctx, c.connection, name, c.out)
	if err != nil {
		return 0, err
	}
	status, err := c.join(ctx, name, o, force, recording)
	return status, recording.end(status, err)
}

func (c *sessionCommand) join(ctx context.Context, name string, o Options, force bool,
	recording *recording) (int, error) {
	c.prepare(ctx, 2) // for the command, and what keeps it alive
	s, user, err := c.lookUp(ctx, name)
	if err != nil {
		return 0, err
	}
	if err := joinable(s, user, force, o.Plan.Command); err != nil {
		return 0, err
	}
	if isOthers(s, user) {
		if err := inventory.AnnounceVisit(ctx, c.cluster.Client, s, user); err != nil {
			c.out.Warn("%s could not be told that you attach: %v", s.User, err)
		}
	}
	o.Plan = plan.Options{
		Session: s.Name[strings.LastIndex(s.Name, "-")+1:], HeartbeatTimeout: outlives,
		TTL:     s.RemainingOrYear(time.Now()),
		Command: o.Plan.Command, Term: os.Getenv("TERM"), Toolbox: s.Toolbox(),
		InlineScripts: !s.HasScripts(),
	}
	reads := o.readsStdin(c.streams, c.out)
	o.Plan.Stdin, o.Plan.TTY = reads, useTTY(o, reads, &c.streams, c.out)
	ctx, config := sessionConfig(ctx, o, c.connection, c.streams, c.out)
	config.Idle = o.idle(reads, c.streams, c.out)
	config.Stdin = stdin(reads, c.streams.In)
	recording.about.User, recording.about.Source, recording.about.Reason = user, s.Source, s.Reason
	config = recording.of(config, o.Plan.Command)
	if followed := s.Follow(c.cluster.Client); followed != nil {
		config.Lease = followed
	}
	place := plan.Place{Mode: plan.Mode(s.Mode), Namespace: s.Namespace, Pod: s.Pod, Container: s.Container}
	status, err := session.Join(ctx, config, plan.Join(place, o.Plan))
	c.out.explainNotFound(status, o.Plan.Command)
	return status, err
}

// lookUp finds the session of a name and its state, and who the caller is.
func (c *sessionCommand) lookUp(ctx context.Context, name string) (s inventory.Session, user string,
	err error) {
	found, err := inventory.Lookup(ctx, c.cluster.Client, c.namespace, name)
	if err != nil {
		return s, "", err
	}
	if found.Unread != nil {
		c.out.Warn("some of the session could not be read: %v", found.Unread)
	}
	if s, err = found.Find(name); err != nil {
		return s, "", err
	}
	return c.refreshed(ctx, s), found.User, nil
}

// refreshed returns a session with the state of its container.
func (c *sessionCommand) refreshed(ctx context.Context, s inventory.Session) inventory.Session {
	one := []inventory.Session{s}
	inventory.RefreshStates(ctx, c.cluster.Client, one)
	return one[0]
}

// afterDashes returns a command as it is typed behind one of ours.
func afterDashes(command []string) string {
	if len(command) == 0 {
		return ""
	}
	return hint.Command(" --"+strings.Repeat(" %s", len(command)), command...)
}

// joinable refuses sessions in which no command can run, and, unless forced to, those of other users.
func joinable(s inventory.Session, user string, force bool, command []string) error {
	switch {
	case isOthers(s, user) && !force:
		return hint.Wrap(fmt.Errorf("session %s belongs to %s, and you are %s", s.Name, s.User, user),
			hint.Command("attach all the same, and let the owner know: "+
				"kubectl eshell attach --force %s -n %s", s.Name, s.Namespace)+afterDashes(command))
	case s.State == inventory.Starting && s.Pod == "":
		return hint.Wrap(fmt.Errorf("session %s has not started yet: it has no pod", s.Name),
			hint.Command("list sessions: kubectl eshell list -n %s", s.Namespace))
	case s.State == inventory.Starting:
		return hint.Wrap(fmt.Errorf("session %s has not started yet", s.Name),
			hint.Command("see its progress: kubectl describe pod %s -n %s", s.Pod, s.Namespace))
	case s.State != inventory.Running && s.State != inventory.Unknown:
		return hint.Wrap(fmt.Errorf("session %s has ended", s.Name),
			hint.Command("list running sessions: kubectl eshell list -n %s", s.Namespace))
	case s.State == inventory.Unknown || s.Pod == "" || s.Container == "":
		return fmt.Errorf("the pod of session %s could not be read, so it is not known where its shell is",
			s.Name)
	}
	return nil
}
