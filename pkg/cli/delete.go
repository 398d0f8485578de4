package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

func newDelete(streams genericiooptions.IOStreams) *cobra.Command {
	var all bool
	return ours{
		use:   "delete (NAME... | --all) [flags]",
		short: "End sessions",
		more: `The names are those of kubectl eshell list. A clone is deleted with its lease.
Nothing can be deleted of a debug session but its lease: its client, once it
has lost it, ends the process. One without a client (--detach) is ended here.
The container stays in its pod's record.`,
		example: `  # One session
  kubectl eshell delete api-eshell-x7k2p

  # All of yours in this namespace
  kubectl eshell delete --all`,
		flags: func(set *pflag.FlagSet) {
			set.BoolVar(&all, "all", false,
				"end all your sessions in the namespace")
		},
		parse: func(names, _ []string) (func(context.Context, *sessionCommand) error, error) {
			switch {
			case all && len(names) > 0:
				return nil, errors.New("--all cannot be combined with session names")
			case !all && len(names) == 0:
				return nil, hint.Wrap(fmt.Errorf("no session was named"),
					"list sessions: kubectl eshell list")
			}
			return func(ctx context.Context, c *sessionCommand) error { return c.delete(ctx, names) }, nil
		},
	}.command(streams)
}

// delete ends the named sessions, or all of the caller's where there are no names. One that cannot be
// ended does not keep the others.
func (c *sessionCommand) delete(ctx context.Context, names []string) error {
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
	errs := make([]error, len(sessions))
	var asked sync.WaitGroup
	for n, s := range sessions {
		asked.Go(func() { errs[n] = c.end(ctx, s) })
	}
	asked.Wait()
	for n, s := range sessions {
		if errs[n] == nil {
			errs[n] = c.print("%s", deleted(s))
		}
	}
	return errors.Join(errs...)
}

// end ends a session. The process of a debug session without a client comes first: what still runs stays
// on record.
func (c *sessionCommand) end(ctx context.Context, s inventory.Session) error {
	if s.Unattended() {
		at := stream.Container{Namespace: s.Namespace, Pod: s.Pod, Name: s.Container}
		if err := session.Stop(ctx, c.cluster.Client, stream.NewClient(c.config, c.cluster.Client),
			at); err != nil {
			return err
		}
	}
	return inventory.End(ctx, c.cluster.Client, s)
}

// chosen finds all names before anything is ended.
func chosen(found *inventory.Inventory, names []string) ([]inventory.Session, error) {
	if len(names) == 0 {
		if found.User == "" {
			return nil, hint.Wrap(
				fmt.Errorf("could not determine your user name, so not which sessions are yours"),
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

// deleted says what was done, and of a debug session that has started who does the rest.
func deleted(s inventory.Session) string {
	if s.Unattended() {
		return s.Name + ": container " + s.Container + " in pod/" + s.Pod + " has ended; lease deleted"
	}
	if s.Mode == "debug" && s.Pod != "" {
		return s.Name + ": lease deleted; its client ends container " + s.Container + " in pod/" + s.Pod
	}
	return s.Name + " deleted"
}
