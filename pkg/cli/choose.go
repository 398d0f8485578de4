package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/moby/term"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	kubectlterm "k8s.io/kubectl/pkg/util/term"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/inventory"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/picker"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// canChoose reports whether somebody can be shown a list and choose from it. It is shown on stderr: stdout
// has the output of a command, which can go anywhere.
func canChoose(streams genericiooptions.IOStreams) bool {
	return printers.IsTerminal(streams.In) && printers.IsTerminal(narrate(streams.ErrOut).Writer)
}

// pick has the user choose from a list, and returns the index of what was chosen.
func (p *printer) pick(ctx context.Context, in io.Reader, list picker.List) (int, error) {
	p.Ready()
	_, _, _ = term.StdStreams() // on Windows this has the terminal process escapes
	name, isSet := os.LookupEnv("TERM")
	_, noColor := os.LookupEnv("NO_COLOR")
	return picker.Pick(ctx, picker.Terminal{
		In: in.(*os.File), Out: p.out, // a terminal is a file: canChoose
		Size:   func() (int, int) { return sizeOf(p.out.Writer) },
		Plain:  name == "dumb" || !isSet && runtime.GOOS != "windows",
		Styled: !noColor,
	}, list)
}

// sizeOf returns the size of a terminal, or the usual one if it does not say.
func sizeOf(out io.Writer) (width, height int) {
	size := kubectlterm.TTY{Out: out}.GetSize()
	if size == nil || size.Width == 0 || size.Height == 0 {
		return 80, 24
	}
	return int(size.Width), int(size.Height)
}

// isUnnamed reports whether no workload was named.
func (o Options) isUnnamed() bool { return o.Reference == (workload.Reference{}) && o.Filename == "" }

// choose has the user choose what was not named: the workload and, where there is a choice, its container. It
// tells what to type for that. flags are what was typed.
func (o Options) choose(ctx context.Context, c connection, flags *pflag.FlagSet, in io.Reader,
	out *printer) (Options, error) {
	chosen, err := o.chooseWorkload(ctx, c, in, out)
	if err != nil {
		return o, err
	}
	o.Reference = chosen.Reference()
	typed := hint.Command("kubectl eshell %s", chosen.String())
	if o.Container == "" {
		if o.Container, err = chooseContainer(ctx, c, chosen, in, out); err != nil {
			return o, err
		}
		if o.Container != "" {
			typed += hint.Command(" -c %s", o.Container)
		}
	}
	if c.enforceNamespace {
		typed += hint.Command(" -n %s", c.namespace)
	}
	if o.Mode != plan.ModeClone {
		typed += hint.Command(" --mode %s", string(o.Mode))
	}
	if len(o.Plan.Command) > 0 || hasOthers(flags) {
		typed += " and the rest as you typed it" // which can be a secret
	}
	out.Say("chosen: %s", typed)
	return o, nil
}

// hasOthers reports whether other flags were typed than those that choose tells of. The printer adds
// --context.
func hasOthers(flags *pflag.FlagSet) bool {
	others := false
	flags.Visit(func(f *pflag.Flag) {
		others = others || !slices.Contains([]string{"container", "namespace", "context", "mode"}, f.Name)
	})
	return others
}

func (o Options) chooseWorkload(ctx context.Context, c connection, in io.Reader,
	out *printer) (workload.Choice, error) {
	out.Waiting("the list of workloads in namespace " + c.namespace)
	all, unread := c.cluster.List(ctx, c.namespace, o.Mode == plan.ModeDebug, o.PodSelection == "")
	out.Ready()
	if ctx.Err() != nil {
		return workload.Choice{}, context.Cause(ctx)
	}
	if len(all) == 0 {
		return workload.Choice{}, nothingListed(c.namespace, unread)
	}
	for _, err := range unread {
		out.Warn("the list is incomplete: %v", err)
	}
	list := picker.List{Prompt: "Workload", Place: "in namespace " + c.namespace}
	for _, choice := range all {
		list.Items = append(list.Items, picker.Item{Name: choice.String(),
			Details: []string{choice.State, shortImages(choice.Images), choice.Age}})
	}
	n, err := out.pick(ctx, in, list)
	if err != nil {
		return workload.Choice{}, err
	}
	return all[n], nil
}

// nothingListed returns the error for a list without workloads.
func nothingListed(namespace string, unread []error) error {
	if len(unread) == 0 {
		return hint.Wrap(fmt.Errorf("namespace %s has no workloads", namespace),
			"name another: kubectl eshell -n NAMESPACE; list those there are: kubectl get namespaces")
	}
	if first := unread[0]; !apierrors.IsForbidden(first) {
		return first
	}
	return hint.Wrap(unread[0], hint.Command("name a workload, which needs no list: "+
		"kubectl eshell TYPE/NAME -n %s", namespace))
}

// shortImages returns images without their registries and paths.
func shortImages(images []string) string {
	var short []string
	for _, image := range images {
		name, _, _ := strings.Cut(image, "@") // a digest says nothing to a person
		short = append(short, path.Base(name))
	}
	return strings.Join(short, ",")
}

// chooseContainer returns the name of a container, or "" if there is none to choose.
func chooseContainer(ctx context.Context, c connection, of workload.Choice, in io.Reader,
	out *printer) (string, error) {
	out.Waiting("the containers of " + of.String())
	containers, err := c.cluster.Containers(ctx, c.namespace, of)
	out.Ready()
	if err != nil || len(containers) == 0 {
		return "", err
	}
	list := picker.List{Prompt: "Container", Place: "of " + of.String()}
	for _, container := range containers {
		list.Items = append(list.Items, picker.Item{Name: container.Name,
			Details: []string{shortImages([]string{container.Image})}})
	}
	n, err := out.pick(ctx, in, list)
	if err != nil {
		return "", err
	}
	return containers[n].Name, nil
}

// chooseSession has the user choose one of several sessions, and returns its name.
func (c *sessionCommand) chooseSession(ctx context.Context, sessions []inventory.Session,
	names []string) (string, error) {
	list := picker.List{Prompt: "Session", Place: "in namespace " + c.namespace}
	now := time.Now()
	for n, s := range sessions {
		list.Items = append(list.Items, picker.Item{Name: names[n], Details: []string{s.Source,
			s.Mode, string(s.State), age(&s.Created, now)}})
	}
	n, err := c.out.pick(ctx, c.streams.In, list)
	if err != nil {
		return "", err
	}
	typed := hint.Command("kubectl eshell attach %s", names[n])
	if c.enforceNamespace {
		typed += hint.Command(" -n %s", c.namespace)
	}
	c.out.Say("chosen: %s", typed)
	return names[n], nil
}
