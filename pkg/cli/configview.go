package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// newConfig returns the command that is about defaults.
func newConfig(streams genericiooptions.IOStreams) *cobra.Command {
	command := &cobra.Command{
		Use: "config COMMAND", Short: "Show the defaults of flags", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return hint.Wrap(fmt.Errorf("config needs a command"), "kubectl eshell config view")
		},
	}
	view := newConfigView(streams)
	command.AddCommand(view)
	command.SetUsageFunc(view.UsageFunc())
	return command
}

func newConfigView(streams genericiooptions.IOStreams) *cobra.Command {
	f := newFlags()
	var output string
	command := &cobra.Command{
		Use:   "view [flags]",
		Short: "Show what defaults are in force, and where each comes from",
		Long: `Show what defaults are in force, and where each comes from.

A flag that is not typed gets its value from its environment variable, like
ESHELL_TTL for --ttl, or from the config file. Flags that have a built-in default
only, and those of the other --mode, are not shown. Values of variables are
hidden.`,
		Example: `  # In this context and namespace
  kubectl eshell config view

  # For debug containers, elsewhere, with a set
  kubectl eshell config view --context prod --mode debug --use jdk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := cmp.Or(oneOf("output", output, "", "yaml", "json"),
				oneOf("mode", f.asked.Mode, plan.ModeClone, plan.ModeDebug))
			if err != nil {
				return err
			}
			if err := f.takeDefaults(cmd.Context(), nil, -1); err != nil {
				return err
			}
			return f.view(output, streams)
		},
	}
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	for _, name := range []string{"mode", configFlag, "use"} {
		own.AddFlag(f.set.Lookup(name))
	}
	own.StringVarP(&output, "output", "o", "", "print as `FORMAT`: yaml or json")
	command.Flags().AddFlagSet(own)
	f.config.AddFlags(command.Flags())
	command.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return explainFlag(cmd, err, "list the flags: kubectl eshell config view --help")
	})
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n%s%s", command.UseLine(),
			command.Example, usages([]group{{title: "Flags", FlagSet: own}}), moreOptions)
		return err
	})
	return command
}

// setting is a flag that has another value than the built-in one.
type setting struct {
	Flag   string `json:"flag"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// settings returns them in the order of the help.
func (f *flags) settings() []setting {
	var all []setting
	for _, g := range f.groups {
		g.VisitAll(func(flag *pflag.Flag) {
			values := f.origins[flag.Name]
			var words, sources []string
			for _, value := range values {
				words, sources = append(words, value.Words...), append(sources, value.Source)
			}
			switch {
			case flag.Name == configFlag:
			case len(values) > 0:
				all = append(all, setting{flag.Name, shown(flag.Name, words), strings.Join(sources, ", ")})
			case flag.Changed:
				all = append(all, setting{flag.Name, flag.Value.String(), "command line"})
			}
		})
	}
	return all
}

// view prints the settings.
func (f *flags) view(output string, streams genericiooptions.IOStreams) error {
	all := f.settings()
	if output != "" {
		document, err := json.Marshal(map[string][]setting{"flags": append([]setting{}, all...)})
		if err != nil {
			return err
		}
		return printJSON(document, output, streams.Out)
	}
	if len(all) == 0 {
		path, _ := f.configPath()
		newPrinter(streams.ErrOut, false).Say("no defaults are in force, by the environment or by %s", path)
		return nil
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "FLAG\tVALUE\tSOURCE")
	for _, s := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Flag, cell(s.Value), cell(s.Source))
	}
	_ = table.Flush() // into memory
	_, err := io.WriteString(streams.Out, text.String())
	return written(err)
}
