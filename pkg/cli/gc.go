package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
)

// collecting is what to clear away.
type collecting struct {
	Everywhere bool
	DryRun     bool
}

func newGC(streams genericiooptions.IOStreams) *cobra.Command {
	var g collecting
	return ours{
		use:   "gc [flags]",
		short: "Remove what is left of ended sessions",
		more: `Removed are, whoever opened them: clones without a lease that have ended or
outlived their deadline, clones whose lease is gone, and leases that have ended.
A living session is never removed, nor anything whose lease lives. That is for
kubectl eshell delete.`,
		example: `  # What would be removed from this namespace, and why
  kubectl eshell gc --dry-run

  # Remove it, from all namespaces
  kubectl eshell gc -A`,
		flags: func(set *pflag.FlagSet) {
			set.BoolVarP(&g.Everywhere, "all-namespaces", "A", false, "look in all namespaces")
			set.BoolVar(&g.DryRun, "dry-run", false, "only say what would be removed")
		},
		parse: func(words, _ []string) (func(context.Context, *sessionCommand) error, error) {
			if len(words) > 0 {
				return nil, fmt.Errorf("gc takes no names: %s", words[0])
			}
			return func(ctx context.Context, c *sessionCommand) error { return c.gc(ctx, g) }, nil
		},
	}.command(streams)
}

// gc removes what nobody needs, a line for each. What cannot be removed does not keep the rest.
func (c *sessionCommand) gc(ctx context.Context, g collecting) error {
	found, err := c.read(ctx, g.Everywhere)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range found.Sessions {
		why, err := found.GarbageReason(ctx, c.cluster.Client, s, time.Now())
		if err == nil && why != "" {
			err = c.remove(ctx, s, why, g)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *sessionCommand) remove(ctx context.Context, s inventory.Session, why string, g collecting) error {
	name := s.Name
	if g.Everywhere {
		name = s.Namespace + "/" + s.Name
	}
	if g.DryRun {
		return c.print("%s: %s: would be removed (dry run)", name, why)
	}
	if err := inventory.End(ctx, c.cluster.Client, s); err != nil {
		return err
	}
	return c.print("%s: %s: removed", name, why)
}
