package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
)

// extension is how much longer which session may live.
type extension struct {
	Name string
	By   time.Duration // whole seconds
}

func newExtend(streams genericiooptions.IOStreams) *cobra.Command {
	return ours{
		use:   "extend NAME DURATION [flags]",
		short: "Let a session live longer",
		more: `The duration is added to what the session's time is (--ttl). Its client hears of
it with its next renewal. A session without a lease cannot live longer, nor can
a debug session without a client (--detach).`,
		example: `  # Two hours more
  kubectl eshell extend api-eshell-x7k2p 2h`,
		flags: func(*pflag.FlagSet) {},
		parse: func(words, _ []string) (func(context.Context, *sessionCommand) error, error) {
			asked, err := parseExtension(words)
			return func(ctx context.Context, c *sessionCommand) error { return c.extend(ctx, asked) }, err
		},
	}.command(streams)
}

func parseExtension(words []string) (extension, error) {
	const usage = "kubectl eshell extend NAME DURATION, for example: " +
		"kubectl eshell extend api-eshell-x7k2p 2h"
	if len(words) != 2 {
		return extension{}, hint.Wrap(fmt.Errorf("expected a session name and a duration"), usage)
	}
	by, err := time.ParseDuration(words[1])
	switch {
	case err != nil:
		return extension{}, hint.Wrap(fmt.Errorf("%q is not a duration", words[1]), usage)
	case by < time.Second:
		return extension{}, fmt.Errorf("%s is less than a second", by)
	}
	return extension{words[0], by.Round(time.Second)}, nil
}

func (c *sessionCommand) extend(ctx context.Context, e extension) error {
	found, err := c.read(ctx, false)
	if err != nil {
		return err
	}
	s, err := found.Find(e.Name)
	if err != nil {
		return err
	}
	if s.State == inventory.Ended || s.State == inventory.Ending {
		return fmt.Errorf("session %s has ended", s.Name)
	}
	ends, err := inventory.Extend(ctx, c.cluster.Client, s, e.By)
	if err != nil {
		return err
	}
	return c.print("%s ends in %s", s.Name, duration.HumanDuration(time.Until(ends).Round(time.Second)))
}
