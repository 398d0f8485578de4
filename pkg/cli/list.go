package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// listing is what is to be listed, and how.
type listing struct {
	Pod        string // not empty: the ephemeral containers of this one
	Everywhere bool
	AllUsers   bool
	Output     string // empty, wide, json, yaml or name
}

func newList(streams genericiooptions.IOStreams) *cobra.Command {
	var l listing
	return ours{
		use:   "list [pod/NAME] [flags]",
		short: "List your sessions, or the ephemeral containers of a pod",
		more: `A debug session without a lease is visible only as a container: list its pod.
To open a pod that is named like a command, write pod/NAME.`,
		example: `  # Your sessions in this namespace
  kubectl eshell list

  # Everybody's, everywhere, with who opened them and why
  kubectl eshell list -A --all-users -o wide

  # Every ephemeral container of a pod, whoever added it
  kubectl eshell list pod/api-7d4b9`,
		flags: func(set *pflag.FlagSet) {
			set.BoolVarP(&l.Everywhere, "all-namespaces", "A", false, "list the sessions of all namespaces")
			set.BoolVar(&l.AllUsers, "all-users", false, "list everybody's sessions")
			set.StringVarP(&l.Output, "output", "o", "", "print wide, json, yaml or name")
		},
		parse: func(words, _ []string) (func(context.Context, *sessionCommand) error, error) {
			asked, err := l.parse(words)
			return func(ctx context.Context, c *sessionCommand) error { return c.list(ctx, asked) }, err
		},
	}.command(streams)
}

func (l listing) parse(words []string) (listing, error) {
	if _, err := oneOf("output", l.Output, "", "wide", "json", "yaml", "name"); err != nil ||
		len(words) == 0 {
		return l, err
	}
	pod, err := workload.ParseReference(words)
	switch {
	case err != nil:
		return l, err
	case pod.Kind != "Pod":
		return l, hint.Wrap(fmt.Errorf("%s is not a pod: only pods have ephemeral containers", pod),
			"list sessions: kubectl eshell list")
	case l.Everywhere:
		return l, fmt.Errorf("--all-namespaces cannot be combined with a pod: %s is in one namespace", pod)
	}
	l.Pod = pod.Name
	return l, nil
}

func (c *sessionCommand) list(ctx context.Context, l listing) error {
	if l.Pod != "" {
		return c.listContainers(ctx, l)
	}
	found, err := c.read(ctx, l.Everywhere)
	if err != nil {
		return err
	}
	if found.User == "" && !l.AllUsers {
		c.out.Warn("could not determine your user name; listing all users' sessions")
		l.AllUsers = true
	}
	sessions := found.Sessions
	if !l.AllUsers {
		sessions = found.Own()
	}
	inventory.RefreshStates(ctx, c.cluster.Client, sessions)
	var names []string
	for _, s := range sessions {
		names = append(names, s.Name)
	}
	return c.show(l, shown{kind: "SessionList", items: sessions, names: names,
		table: sessionTable(l, sessions, time.Now())})
}

func (c *sessionCommand) listContainers(ctx context.Context, l listing) error {
	containers, err := inventory.Ephemeral(ctx, c.cluster.Client, c.namespace, l.Pod)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range containers {
		names = append(names, e.Name)
	}
	return c.show(l, shown{kind: "EphemeralContainerList", items: containers, names: names,
		table: containerTable(containers, time.Now())})
}

// shown is a list in each of its forms.
type shown struct {
	kind  string
	items any
	names []string
	table *metav1.Table
}

func (c *sessionCommand) show(l listing, what shown) error {
	switch {
	case l.Output == "json" || l.Output == "yaml":
		return c.document(l.Output, what)
	case len(what.names) == 0:
		c.out.Say("%s", noneFound(l, c.namespace))
		return nil
	case l.Output == "name":
		return c.printAll(what.names)
	}
	table := printers.NewTablePrinter(printers.PrintOptions{Wide: l.Output == "wide"})
	return written(table.PrintObj(what.table, c.streams.Out))
}

// noneFound is kubectl get's sentence.
func noneFound(l listing, namespace string) string {
	switch {
	case l.Pod != "":
		return "No ephemeral containers found in pod/" + l.Pod + "."
	case l.Everywhere:
		return "No resources found"
	}
	return "No resources found in " + namespace + " namespace."
}

// document prints the list for programs.
func (c *sessionCommand) document(format string, what shown) error {
	text, err := json.Marshal(map[string]any{"apiVersion": owned.Domain + "/v1alpha1", "kind": what.kind,
		"items": what.items})
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	// JSON escapes some of what a terminal obeys, not all of it.
	if err := json.Unmarshal([]byte(plain(string(text))), &object.Object); err != nil {
		return err
	}
	printer, err := genericclioptions.NewJSONYamlPrintFlags().ToPrinter(format)
	if err != nil {
		return err
	}
	return written(printer.PrintObj(object, c.streams.Out))
}

// column is one of a table's, with what it says of an item.
type column[T any] struct {
	title string
	wide  bool
	cell  func(T) string
}

// tabulate is kubectl's table: a cell without a value says so, as kubectl's do.
func tabulate[T any](columns []column[T], items []T) *metav1.Table {
	table := &metav1.Table{}
	for _, c := range columns {
		definition := metav1.TableColumnDefinition{Name: c.title, Type: "string"}
		if c.wide {
			definition.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, definition)
	}
	for _, item := range items {
		var row metav1.TableRow
		for _, c := range columns {
			text := plain(c.cell(item))
			if text == "" {
				text = "<none>"
			}
			row.Cells = append(row.Cells, text)
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func sessionTable(l listing, sessions []inventory.Session, now time.Time) *metav1.Table {
	type session = inventory.Session
	columns := []column[session]{
		{"Name", false, func(s session) string { return s.Name }},
		{"Mode", false, func(s session) string { return s.Mode }},
		{"Source", false, func(s session) string { return s.Source }},
		{"Pod", false, func(s session) string { return s.Pod }},
		{"Container", true, func(s session) string { return s.Container }},
		{"State", false, func(s session) string { return string(s.State) }},
		{"Age", false, func(s session) string { return age(&s.Created, now) }},
		{"Left", false, func(s session) string { return left(s, now) }},
		{"User", !l.AllUsers, func(s session) string { return s.User }},
		{"Reason", true, func(s session) string { return s.Reason }},
	}
	if l.Everywhere {
		columns = append([]column[session]{{"Namespace", false,
			func(s session) string { return s.Namespace }}}, columns...)
	}
	return tabulate(columns, sessions)
}

func containerTable(containers []inventory.EphemeralContainer, now time.Time) *metav1.Table {
	type container = inventory.EphemeralContainer
	return tabulate([]column[container]{
		{"Name", false, func(c container) string { return c.Name }},
		{"Image", false, func(c container) string { return c.Image }},
		{"Target", false, func(c container) string { return c.Target }},
		{"State", false, func(c container) string { return c.State }},
		{"Exit", false, func(c container) string { return exitCode(c.ExitCode) }},
		{"Age", false, func(c container) string { return age(c.Started, now) }},
		{"Command", false, func(c container) string { return strings.Join(c.Command, " ") }},
	}, containers)
}

func exitCode(code *int32) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(int(*code))
}

func age(since *metav1.Time, now time.Time) string {
	if since == nil {
		return ""
	}
	return duration.HumanDuration(now.Sub(since.Time))
}

func left(s inventory.Session, now time.Time) string {
	left, known := s.Left(now)
	if !known {
		return ""
	}
	return duration.HumanDuration(max(left, 0))
}
