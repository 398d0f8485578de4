package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// workloads completes TYPE/NAME, TYPE NAME and the names of commands. A first word that is none of these is
// the name of a pod.
func (a answerer) workloads(cmd *cobra.Command, args []string, typed string) ([]string,
	cobra.ShellCompDirective) {
	typ, _, named := strings.Cut(typed, "/")
	switch {
	case len(args) == 0 && !named:
		if words, directive := typesAndCommands(cmd, typed); len(words) > 0 {
			return words, directive
		}
		return a.names("pod", "")(cmd, args, typed)
	case len(args) == 0:
		return a.names(typ, typ+"/")(cmd, args, typed)
	case len(args) == 1 && !strings.Contains(args[0], "/"):
		return a.names(args[0], "")(cmd, args, typed)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// names completes the names of the workloads of a type. before is what stands before each.
func (a answerer) names(typ, before string) answer {
	return a.request(func(ctx context.Context, c connection, q question) []string {
		found, err := c.cluster.Choices(ctx, c.namespace, typ, strings.TrimPrefix(q.typed, before))
		if err != nil {
			return nil
		}
		return offer(q.typed, inLines(before, found)...)
	})
}

// typesAndCommands are what a command line begins with. A name follows a type without a space.
func typesAndCommands(cmd *cobra.Command, typed string) ([]string, cobra.ShellCompDirective) {
	var words [][2]string
	directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	for _, typ := range workload.TypesLike(typed) {
		words = append(words, [2]string{typ.Type + "/", typ.Kind})
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	for _, c := range cmd.Commands() { // none below check
		if c.Name() != "" && c.Name() != cobra.ShellCompRequestCmd {
			words = append(words, [2]string{c.Name(), c.Short})
		}
	}
	return offer(typed, words...), directive
}

// inLines returns the words that name what was found. What is no name is not offered: a shell would read it.
func inLines(before string, found []workload.Choice) (words [][2]string) {
	for _, f := range found {
		about := slices.Concat([]string{f.State}, slices.Compact(f.Images), []string{f.Age})
		about = slices.DeleteFunc(about, func(part string) bool { return part == "" })
		if len(validation.IsDNS1123Subdomain(f.Name)) == 0 {
			words = append(words, [2]string{before + f.Name, strings.Join(about, ", ")})
		}
	}
	return words
}

// sessions completes the names of sessions, of which a command takes most, and then the words of also. No
// session is offered twice.
func (a answerer) sessions(most int, also ...string) answer {
	ask := a.request(func(ctx context.Context, c connection, q question) []string {
		found, err := inventory.Choices(ctx, c.cluster.Client, c.namespace)
		if err != nil {
			return nil
		}
		now := time.Now()
		var words [][2]string
		for _, s := range found {
			if !slices.Contains(q.args, s.Name) {
				words = append(words, [2]string{s.Name, describeSession(s, now)})
			}
		}
		return offer(q.typed, words...)
	})
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) < most {
			return ask(cmd, args, typed)
		}
		var words [][2]string
		for _, word := range also {
			words = append(words, [2]string{word})
		}
		return offer(typed, words...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// describeSession returns what distinguishes a session from others, as far as it is known.
func describeSession(s inventory.Session, now time.Time) string {
	about := s.Mode
	if s.Source != "" {
		about += " of " + s.Source
	}
	if s.State != inventory.Unknown {
		about += ", " + strings.ToLower(string(s.State))
	}
	about += ", " + age(&s.Created, now)
	if s.User != "" {
		about += ", " + s.User
	}
	return about
}
