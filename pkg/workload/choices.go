package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Choice is a workload as somebody sees it who chooses one. Its texts are the server's, as kubectl shows
// them, and they may hold anything.
type Choice struct {
	Kind   string // as in the API: "Deployment"
	Type   string // short, as users write it: "deploy"
	Name   string
	State  string   // in words: "2/3 ready"; empty if it is not known
	Images []string // of the template's containers; none for a pod or a Service
	Age    string   // "3d"; empty if it is not known
}

// mostChoices is how many workloads of a type are offered.
const mostChoices = 500

// ShortTypes returns the types of the built-in kinds as users write them. Those that serve come first.
func ShortTypes() []string {
	return []string{"deploy", "sts", "ds", "cronjob", "job", "pod", "rs", "rc", "svc"}
}

// TypesLike returns the types with a prefix: short ones, or where there are none, those in full. They are
// Choices without a Name.
func TypesLike(prefix string) (types []Choice) {
	for _, typ := range ShortTypes() {
		if k, _ := kindNamed(typ); strings.HasPrefix(typ, prefix) {
			types = append(types, Choice{Kind: k.name, Type: typ})
		}
	}
	if len(types) > 0 {
		return types
	}
	for _, k := range kinds() {
		if strings.HasPrefix(k.types[0], prefix) {
			types = append(types, Choice{Kind: k.name, Type: k.types[0]})
		}
	}
	return types
}

// Choices lists the workloads of a type in a namespace whose names have a prefix, by name and 500 at most. It
// makes one request: for a Table from the API server's cache, which is read row by row. Where there is no
// Table, a second request lists names alone. The clones and leases of sessions are left out. What a custom
// resource is called takes discovery, unless kubectl's cache has it, and only its name is known.
func (c Cluster) Choices(ctx context.Context, namespace, typ, prefix string) ([]Choice, error) {
	w := wanted{namespace, prefix, notOurs, mostChoices}
	if k, known := kindNamed(typ); known {
		return c.choices(ctx, k, w)
	}
	return c.customChoices(ctx, typ, w)
}

// customChoices lists names alone: a custom resource decides which columns its Table has beside them.
func (c Cluster) customChoices(ctx context.Context, typ string, w wanted) (choices []Choice, err error) {
	s := search{Cluster: c, Query: Query{Reference: Reference{Type: typ}}}
	found, err := bounded.Call(ctx, func() (*meta.RESTMapping, error) { return s.mappingOf(typ) })
	if err != nil {
		return nil, err
	}
	of := found.Resource
	if of.Group == "" {
		return nil, fmt.Errorf("a %s has no pod template", found.GroupVersionKind.Kind)
	}
	t := table{group: of.Group, version: of.Version, namespace: w.namespace, resource: of.Resource,
		columns: []string{"Name"}}
	err = listTable(ctx, c.Tables, t, func(cells []string) bool {
		if strings.HasPrefix(cells[0], w.prefix) {
			choices = append(choices, Choice{Kind: found.GroupVersionKind.Kind, Type: typ, Name: cells[0]})
		}
		return len(choices) < w.most
	})
	return choices, err
}

// wanted is which workloads of a kind are offered: by their namespace, a prefix of their names and a selector
// of labels, and how many of them at most.
type wanted struct {
	namespace, prefix, selector string
	most                        int
}

func (c Cluster) choices(ctx context.Context, k kind, w wanted) ([]Choice, error) {
	choices, err := c.tabled(ctx, k, w)
	if errors.Is(err, errNoTable) {
		return c.named(ctx, k, w)
	}
	return choices, err
}

// notOurs selects what is neither a clone nor a lease of a session.
const notOurs = "!" + owned.SessionLabel

func (c Cluster) tabled(ctx context.Context, k kind, w wanted) ([]Choice, error) {
	columns, state := shown(k)
	t := table{group: k.group, namespace: w.namespace, resource: k.types[1], selector: w.selector,
		columns: columns}
	if k.name != "Pod" && k.name != "Service" { // these have no column of images
		t.columns = append(t.columns, "Images")
	}
	return c.rows(ctx, t, w, func(cells []string) (Choice, bool) {
		choice := Choice{Kind: k.name, Type: k.short(), State: state(cells[:len(columns)])}
		if len(cells) > len(columns) {
			choice.Images = strings.Split(cells[len(columns)], ",")
		}
		return choice, true
	})
}

// rows reads a Table's rows of objects whose names have a prefix, as many as are wanted at most. read makes
// a Choice of the columns, all but its name and age, and reports whether it is one.
func (c Cluster) rows(ctx context.Context, t table, w wanted,
	read func(cells []string) (Choice, bool)) (choices []Choice, err error) {
	if c.Tables == nil {
		return nil, errNoTable
	}
	t.columns = slices.Concat([]string{"Name", "Age"}, t.columns)
	err = listTable(ctx, c.Tables, t, func(cells []string) bool {
		if !strings.HasPrefix(cells[0], w.prefix) {
			return true
		}
		if choice, is := read(cells[2:]); is {
			choice.Name, choice.Age = cells[0], cells[1]
			choices = append(choices, choice)
		}
		return len(choices) < w.most
	})
	return choices, err
}

// Namespaces lists the cluster's namespaces as Choices lists workloads. So do the next functions. Their
// choices have no Kind.
func (c Cluster) Namespaces(ctx context.Context, prefix string) ([]Choice, error) {
	return c.others(ctx, table{resource: "namespaces", columns: []string{"Status"}}, prefix)
}

// Nodes lists the cluster's nodes.
func (c Cluster) Nodes(ctx context.Context, prefix string) ([]Choice, error) {
	return c.others(ctx, table{resource: "nodes", columns: []string{"Status"}}, prefix)
}

// ServiceAccounts lists a namespace's service accounts.
func (c Cluster) ServiceAccounts(ctx context.Context, namespace, prefix string) ([]Choice, error) {
	return c.others(ctx, table{namespace: namespace, resource: "serviceaccounts"}, prefix)
}

func (c Cluster) others(ctx context.Context, t table, prefix string) ([]Choice, error) {
	return c.rows(ctx, t, wanted{prefix: prefix, most: mostChoices}, func(cells []string) (Choice, bool) {
		return Choice{State: strings.Join(cells, " ")}, true
	})
}

// PullSecrets lists a namespace's secrets with which images are pulled. A Table has no secret's data.
func (c Cluster) PullSecrets(ctx context.Context, namespace, prefix string) ([]Choice, error) {
	t := table{namespace: namespace, resource: "secrets", columns: []string{"Type"}}
	return c.rows(ctx, t, wanted{prefix: prefix, most: mostChoices}, func(cells []string) (Choice, bool) {
		typ := corev1.SecretType(cells[0])
		return Choice{}, typ == corev1.SecretTypeDockerConfigJson || typ == corev1.SecretTypeDockercfg
	})
}

// Template returns a workload's pod template, or a pod's own spec. It makes one request. A Service has none,
// and a type that is not built in would take more requests: it is an error to ask for these.
func (c Cluster) Template(ctx context.Context, namespace string, r Reference) (corev1.PodTemplateSpec,
	error) {
	k, known := kindNamed(r.Kind)
	if !known || k.name == "Service" {
		return corev1.PodTemplateSpec{}, fmt.Errorf("%s: a template takes more than one request", r)
	}
	w, err := k.get(ctx, c.Client, namespace, r.Name)
	return w.template, err
}

// shown returns the columns of a kind's Table that tell the state of a workload, and what they tell. Every
// supported version of Kubernetes has them: pkg/printers/internalversion/printers.go.
func shown(k kind) (columns []string, state func(cells []string) string) {
	switch k.name {
	case "Pod":
		return []string{"Status", "Ready"}, func(c []string) string { return c[0] + " " + c[1] }
	case "Deployment", "StatefulSet":
		return []string{"Ready"}, func(c []string) string { return c[0] + " ready" }
	case "Job":
		return []string{"Completions"}, func(c []string) string { return c[0] + " complete" }
	case "CronJob":
		return []string{"Schedule", "Suspend"}, func(c []string) string {
			if c[1] == "True" {
				return c[0] + " (suspended)"
			}
			return c[0]
		}
	case "Service":
		return []string{"Type", "Port(s)"}, func(c []string) string { return c[0] + " " + c[1] }
	}
	return []string{"Ready", "Desired"}, func(c []string) string { return c[0] + "/" + c[1] + " ready" }
}

// named lists names alone.
func (c Cluster) named(ctx context.Context, k kind, w wanted) (choices []Choice, err error) {
	names, err := k.names(ctx, c.Client, w.namespace, metav1.ListOptions{LabelSelector: w.selector})
	for _, name := range names {
		if strings.HasPrefix(name, w.prefix) {
			choices = append(choices, Choice{Kind: k.name, Type: k.short(), Name: name})
		}
	}
	return choices, err
}

// short returns the type as users write it most.
func (k kind) short() string {
	for _, typ := range ShortTypes() {
		if slices.Contains(k.types, typ) {
			return typ
		}
	}
	return k.types[0]
}
