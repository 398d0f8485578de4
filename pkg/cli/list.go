package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// listing is what to list, and how.
type listing struct {
	Pod        string // if not empty, list the ephemeral containers of this pod
	Session    string // if not empty, list only the session of this name
	Everywhere bool
	AllUsers   bool
	Output     string // empty, wide, json, yaml or name
}

func newList(c *sessionCommand) *cobra.Command {
	var l listing
	command := &cobra.Command{
		Use:   "list [NAME | pod/NAME] [flags]",
		Short: "List your sessions, or the ephemeral containers of a pod",
		Long: `List your sessions, one session, or the ephemeral containers of a pod.

HEARD is how long ago the session's client was last heard. A debug session
without a lease is visible only as a container: list its pod.
To open a pod that is named like a command, write pod/NAME.`,
		Example: `  # Your sessions in this namespace
  kubectl eshell list

  # Everybody's, everywhere, with who opened them and why
  kubectl eshell list -A --all-users -o wide

  # One session, whoever opened it
  kubectl eshell list api-eshell-x7k2p -o wide

  # Every ephemeral container of a pod, whoever added it
  kubectl eshell list pod/api-7d4b9`,
		ValidArgsFunction: answerer{c.flags}.sessions(1),
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := l.parse(words); err != nil {
				return err
			}
			return c.run(cmd.Context(), func(ctx context.Context) error { return c.list(ctx, l) })
		},
	}
	command.Flags().BoolVarP(&l.Everywhere, "all-namespaces", "A", false,
		"list the sessions of all namespaces")
	command.Flags().BoolVar(&l.AllUsers, "all-users", false, "list everybody's sessions")
	command.Flags().StringVarP(&l.Output, "output", "o", "", "print as `FORMAT`: wide, json, yaml or name")
	return command
}

func (l *listing) parse(words []string) error {
	err := oneOf("output", l.Output, "", "wide", "json", "yaml", "name")
	if err != nil || len(words) == 0 {
		return err
	}
	if len(words) == 1 && !strings.Contains(words[0], "/") {
		l.Session, err = parseSession(words)
		if err == nil && l.Everywhere {
			err = fmt.Errorf("--all-namespaces cannot be combined with a name: %s is in one namespace",
				l.Session)
		}
		return err
	}
	pod, err := workload.ParseReference(words)
	switch {
	case err != nil:
		return err
	case pod.Kind != "Pod":
		return hint.Wrap(fmt.Errorf("%s is not a pod: only pods have ephemeral containers", pod),
			"list sessions: kubectl eshell list")
	case l.Everywhere:
		return fmt.Errorf("--all-namespaces cannot be combined with a pod: %s is in one namespace", pod)
	}
	l.Pod = pod.Name
	return nil
}

func (c *sessionCommand) list(ctx context.Context, l listing) error {
	if l.Pod != "" {
		return c.listContainers(ctx, l)
	}
	if l.Session != "" {
		return c.listOne(ctx, l)
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
		names = append(names, found.Unambiguous(s))
	}
	return c.show(ctx, l, "SessionList", sessions, names, sessionTable(l, sessions, time.Now()))
}

func (c *sessionCommand) listOne(ctx context.Context, l listing) error {
	s, _, err := c.lookUp(ctx, l.Session)
	if err != nil {
		return err
	}
	return c.show(ctx, l, "SessionList", []inventory.Session{s}, []string{s.Name},
		sessionTable(l, []inventory.Session{s}, time.Now()))
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
	return c.show(ctx, l, "EphemeralContainerList", containers, names, containerTable(containers, time.Now()))
}

// show prints a list in the requested format.
func (c *sessionCommand) show(ctx context.Context, l listing, kind string, items any, names []string,
	table *metav1.Table) error {
	switch {
	case l.Output == "json" || l.Output == "yaml":
		return c.document(l.Output, kind, items)
	case len(names) == 0:
		c.out.Say("%s", noneFound(l, c.namespace))
		if next := c.missingNamespace(ctx, "list"); next != "" && !l.Everywhere {
			c.out.Say("hint: %s", next)
		}
		return nil
	case l.Output == "name":
		for _, name := range names {
			if err := c.print("%s", name); err != nil {
				return err
			}
		}
		return nil
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{Wide: l.Output == "wide"})
	return written(printer.PrintObj(table, c.stdout))
}

// missingNamespace returns the hint if -n names a namespace that is not there. command is what was typed:
// "list".
func (c *sessionCommand) missingNamespace(ctx context.Context, command string) string {
	if !c.enforceNamespace {
		return ""
	}
	return workload.SuggestNamespace(ctx, c.cluster.Client, c.namespace, func(meant string) string {
		return hint.Command("kubectl eshell %s -n %s", command, meant)
	})
}

// noneFound returns the message for an empty list, worded as in kubectl get.
func noneFound(l listing, namespace string) string {
	switch {
	case l.Pod != "":
		return "No ephemeral containers found in pod/" + l.Pod + "."
	case l.Everywhere:
		return "No resources found"
	}
	return "No resources found in " + namespace + " namespace."
}

// document prints the list as JSON or YAML, for programs.
func (c *sessionCommand) document(format, kind string, items any) error {
	text, err := json.Marshal(map[string]any{"apiVersion": owned.Domain + "/v1alpha1", "kind": kind,
		"items": items})
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, &object.Object); err != nil {
		return err
	}
	printer, err := genericclioptions.NewJSONYamlPrintFlags().ToPrinter(format)
	if err != nil {
		return err
	}
	return printDocument(object, printer, format, c.stdout)
}

// column is a column of a table, with a function that returns an item's cell.
type column[T any] struct {
	title string
	wide  bool
	cell  func(T) string
}

// tabulate returns a table as kubectl prints it: a cell without a value shows <none>.
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
			row.Cells = append(row.Cells, cmp.Or(cell(c.cell(item)), "<none>"))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func sessionTable(l listing, sessions []inventory.Session, now time.Time) *metav1.Table {
	type session = inventory.Session
	columns := []column[session]{
		{"Namespace", false, func(s session) string { return s.Namespace }},
		{"Name", false, func(s session) string { return s.Name }},
		{"Mode", false, func(s session) string { return s.Mode }},
		{"Source", false, func(s session) string { return s.Source }},
		{"Pod", false, func(s session) string { return s.Pod }},
		{"Container", true, func(s session) string { return s.Container }},
		{"State", false, func(s session) string { return string(s.State) }},
		{"Age", false, func(s session) string { return age(&s.Created, now) }},
		{"Heard", false, func(s session) string { return age(s.Heard, now) }},
		{"Left", false, func(s session) string { return left(s, now) }},
		{"User", !l.AllUsers, func(s session) string { return s.User }},
		{"Reason", true, func(s session) string { return s.Reason }},
	}
	if !l.Everywhere {
		columns = columns[1:]
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
	return duration.HumanDuration(max(now.Sub(since.Time), 0))
}

func left(s inventory.Session, now time.Time) string {
	left, known := s.Left(now)
	if !known {
		return ""
	}
	return duration.HumanDuration(max(left, 0))
}
