package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/util/workqueue"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

func newDelete(c *sessionCommand) *cobra.Command {
	var all, force bool
	command := &cobra.Command{
		Use:   "delete (NAME... | --all) [flags]",
		Short: "End sessions",
		Long: `End sessions.

The names are those of kubectl eshell list. A clone is deleted with its lease.
Ephemeral containers cannot be deleted: for a debug session this deletes the
lease, and its client then stops the process. A debug session without a client
(--detach) is stopped here. The container's entry stays in the pod's spec.
A session of somebody else's is deleted only if you confirm it, or with --force.`,
		Example: `  # One session
  kubectl eshell delete api-eshell-x7k2p

  # All of yours in this namespace
  kubectl eshell delete --all`,
		ValidArgsFunction: answerer{c.flags}.sessions(math.MaxInt),
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case all && len(names) > 0:
				return errors.New("--all cannot be combined with session names")
			case !all && len(names) == 0:
				return hint.Wrap(fmt.Errorf("no session was named"), "list sessions: kubectl eshell list")
			}
			return c.run(cmd.Context(),
				func(ctx context.Context) error { return c.delete(ctx, names, force) })
		},
	}
	command.Flags().BoolVar(&force, "force", false, "end sessions of others too, without a question")
	command.Flags().BoolVar(&all, "all", false, "end all your sessions in the namespace")
	return command
}

// endsAtOnce is how many sessions are ended at the same time: a server has others to serve.
const endsAtOnce = 10

// delete ends the named sessions, or all of the caller's where there are no names. One that cannot be
// ended does not keep the others.
func (c *sessionCommand) delete(ctx context.Context, names []string, force bool) error {
	found, err := c.read(ctx, false)
	if err != nil {
		return err
	}
	sessions, err := chosen(found, names)
	if err != nil {
		return err
	}
	if len(sessions) == 0 {
		c.out.Say("%s", noneFound(listing{}, c.namespace))
	}
	if !force {
		if err := c.confirm(ctx, found.User, sessions); err != nil {
			return err
		}
	}
	inventory.RefreshStates(ctx, c.cluster.Client, sessions)
	errs := make([]error, len(sessions))
	workqueue.ParallelizeUntil(ctx, endsAtOnce, len(sessions), func(n int) {
		c.out.Waiting("the end of " + sessions[n].Name)
		errs[n] = c.end(ctx, sessions[n], found.User)
	})
	c.out.Ready()
	for n, s := range sessions {
		switch {
		case errs[n] != nil:
		case ctx.Err() != nil: // nothing more is written to stdout
			c.out.Say("%s", deleted(s))
		default:
			errs[n] = c.print("%s", deleted(s))
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// confirm asks before sessions of others are ended. Where nobody can be asked, it refuses.
func (c *sessionCommand) confirm(ctx context.Context, user string, sessions []inventory.Session) error {
	var whose, words []string
	for _, s := range sessions {
		if isOthers(s, user) {
			whose = append(whose, fmt.Sprintf("session %s belongs to %s", s.Name, s.User))
		}
		words = append(words, s.Name)
	}
	if len(whose) == 0 {
		return nil
	}
	question := strings.Join(whose, ", ") + ", and you are " + user
	if !printers.IsTerminal(c.streams.In) || !printers.IsTerminal(c.out.out.Writer) {
		return hint.Wrap(errors.New(question), hint.Command("kubectl eshell delete --force -n %s"+
			strings.Repeat(" %s", len(words)), append([]string{c.namespace}, words...)...))
	}
	fmt.Fprintf(c.out.out, "%s. Delete? [y/N] ", plain(question))
	answer, err := bounded.Call(ctx,
		func() (string, error) { return bufio.NewReader(c.streams.In).ReadString('\n') })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if yes := strings.ToLower(strings.TrimSpace(answer)); err != nil || yes != "y" && yes != "yes" {
		return errors.New("nothing was deleted")
	}
	return nil
}

// isOthers reports whether a session is known to be another user's.
func isOthers(s inventory.Session, user string) bool {
	return s.User != "" && user != "" && s.User != user
}

// end ends a session. It ends the process of a debug session without a client before it deletes the lease:
// what still runs stays on record.
func (c *sessionCommand) end(ctx context.Context, s inventory.Session, user string) error {
	switch {
	case !s.Unattended() || s.State == inventory.Ended || s.State == inventory.Ending:
	case s.State != inventory.Unknown && !s.WaitsToEnd(): // another client's, whatever its lease says
	case s.State == inventory.Unknown:
		return fmt.Errorf("%s: pod/%s could not be read, so its container %s cannot be told to end", s.Name,
			s.Pod, s.Container)
	default:
		at := stream.Container{Namespace: s.Namespace, Pod: s.Pod, Name: s.Container}
		if err := session.Stop(ctx, c.cluster.Client, c.remote, at); err != nil {
			return err
		}
	}
	return inventory.End(ctx, c.cluster.Client, s, user)
}

// chosen looks up all names before anything is ended.
func chosen(found *inventory.Inventory, names []string) ([]inventory.Session, error) {
	if len(names) == 0 {
		if found.User == "" {
			return nil, hint.Wrap(
				fmt.Errorf("could not determine your user name, so it is not known which sessions are yours"),
				"kubectl eshell delete NAME ends one by its name")
		}
		return found.Own(), nil
	}
	var sessions []inventory.Session
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		s, err := found.Find(name)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
	return sessions, nil
}

// deleted returns what was done and, for a debug session that has started, who does the rest.
func deleted(s inventory.Session) string {
	switch {
	case s.Mode != "debug" || s.Pod == "":
		return s.Name + " deleted"
	case s.State == inventory.Ended:
		return s.Name + ": lease deleted"
	case s.WaitsToEnd():
		return s.Name + ": container " + s.Container + " in pod/" + s.Pod + " has ended; lease deleted"
	}
	return s.Name + ": lease deleted; its client ends container " + s.Container + " in pod/" + s.Pod
}

func newExtend(c *sessionCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "extend NAME DURATION [flags]",
		Short: "Extend the time of a session",
		Long: `Extend the time of a session.

The duration is added to the session's time (--ttl). Its client learns of it with
the next renewal. A session without a lease cannot be extended, nor can a debug
session without a client (--detach).`,
		Example: `  # Two hours more
  kubectl eshell extend api-eshell-x7k2p 2h`,
		ValidArgsFunction: answerer{c.flags}.sessions(1, "30m", "1h", "2h", "8h"),
		RunE: func(cmd *cobra.Command, words []string) error {
			by, err := parseExtension(words)
			if err != nil {
				return err
			}
			return c.run(cmd.Context(), func(ctx context.Context) error {
				return c.extend(ctx, words[0], by)
			})
		},
	}
}

// parseExtension returns the duration in whole seconds.
func parseExtension(words []string) (time.Duration, error) {
	name := "api-eshell-x7k2p"
	if len(words) > 0 {
		name = words[0]
	}
	usage := hint.Command("kubectl eshell extend NAME DURATION, for example: "+
		"kubectl eshell extend %s 2h", name)
	if len(words) != 2 {
		return 0, hint.Wrap(fmt.Errorf("expected a session name and a duration"), usage)
	}
	by, err := parseDuration(words[1])
	switch {
	case err != nil:
		return 0, hint.Wrap(err, usage)
	case by < time.Second:
		return 0, fmt.Errorf("%s is less than a second: a session's time can only be extended", by)
	}
	return by.Round(time.Second), nil
}

func (c *sessionCommand) extend(ctx context.Context, name string, by time.Duration) error {
	found, err := c.read(ctx, false)
	if err != nil {
		return err
	}
	s, err := found.Find(name)
	if err != nil {
		return err
	}
	if s = c.refreshed(ctx, s); s.State == inventory.Ended || s.State == inventory.Ending {
		return fmt.Errorf("session %s has ended", s.Name)
	}
	ends, err := inventory.Extend(ctx, c.cluster.Client, s, by)
	if err != nil {
		return explainMaximum(s, err)
	}
	return c.print("%s ends in %s", s.Name, duration.HumanDuration(time.Until(ends).Round(time.Second)))
}

// explainMaximum adds to the refusal of more time by a policy how much more a session can still have.
func explainMaximum(s inventory.Session, err error) error {
	refused := policy.Refusal(err)
	if refused == nil || refused.Policy != policy.TTL {
		return err
	}
	next := "open another session: kubectl eshell TYPE/NAME"
	if s.Source != "" && s.Mode != "debug" {
		next = hint.Command("open another session: kubectl eshell %s -n %s", s.Source, s.Namespace)
	}
	_, text, _ := strings.Cut(refused.Sentence, "at most ")
	text, _, _ = strings.Cut(text, " ")
	most, unknown := parseDuration(text)
	if s.Ends != nil && unknown == nil {
		if more := most - s.Ends.Sub(s.Created.Time).Round(time.Second); more >= time.Second {
			next = hint.Command("kubectl eshell extend %s %s -n %s", s.Name, shortDuration(more), s.Namespace)
		}
	}
	return hint.Wrap(err, next)
}

// collecting are the options of gc.
type collecting struct {
	Everywhere bool
	DryRun     string // none, client or server
}

func newGC(c *sessionCommand) *cobra.Command {
	var g collecting
	command := &cobra.Command{
		Use:   "gc [flags]",
		Short: "Remove what ended sessions have left behind",
		Long: `Remove what ended sessions have left behind.

This removes clones without a lease that have ended or outlived their deadline,
clones whose lease is gone, and leases that have ended, whoever opened them.
A session that is alive is never removed, nor anything whose lease is: use
kubectl eshell delete for these.`,
		Example: `  # What would be removed from this namespace, and why
  kubectl eshell gc --dry-run

  # Remove it, from all namespaces
  kubectl eshell gc -A`,
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) > 0 {
				return fmt.Errorf("gc takes no names: %s", words[0])
			}
			if err := oneOf("dry-run", DryRun(g.DryRun), DryRunNone, DryRunClient, DryRunServer); err != nil {
				return err
			}
			return c.run(cmd.Context(), func(ctx context.Context) error { return c.gc(ctx, g) })
		},
	}
	command.Flags().BoolVarP(&g.Everywhere, "all-namespaces", "A", false, "look in all namespaces")
	command.Flags().StringVar(&g.DryRun, "dry-run", "none",
		"only print what would be removed; `HOW`: none, client, server")
	// As in kubectl. server means the same here.
	command.Flags().Lookup("dry-run").NoOptDefVal = "client"
	return command
}

// gc removes what nobody needs, and prints a line for each. What cannot be removed does not keep the rest
// from being removed.
func (c *sessionCommand) gc(ctx context.Context, g collecting) error {
	found, err := c.read(ctx, g.Everywhere)
	if err != nil {
		return err
	}
	var errs []error
	var told []string
	for _, s := range found.Sessions {
		why, err := found.GarbageReason(ctx, c.cluster.Client, s, time.Now())
		if err == nil && why != "" {
			why, err = c.remove(ctx, s, why, g)
			told = append(told, why)
		}
		errs = append(errs, err)
	}
	if len(told) == 0 && errors.Join(errs...) == nil {
		c.out.Say("nothing to remove")
	}
	for _, line := range told { // last, since nobody might read it
		if line != "" {
			errs = append(errs, c.print("%s", line))
		}
	}
	return errors.Join(errs...)
}

// remove ends a session, and returns the line that says so.
func (c *sessionCommand) remove(ctx context.Context, s inventory.Session, why string,
	g collecting) (line string, err error) {
	name := s.Name
	if g.Everywhere {
		name = s.Namespace + "/" + s.Name
	}
	if g.DryRun != string(DryRunNone) {
		return fmt.Sprintf("%s: %s: would be removed (dry run)", name, why), nil
	}
	if err := inventory.End(ctx, c.cluster.Client, s, ""); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %s: removed", name, why), nil
}
