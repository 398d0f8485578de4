package cli

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// Options are what was asked, parsed and validated: every rule about words is applied here, once,
// before anything is sent.
type Options struct {
	Reference target.Reference
	Mode      plan.Mode
	Container string
	Plan      plan.Options

	Stdin        bool
	TTY          *bool // nil: by what stdin and stdout are
	StartTimeout time.Duration
	Quiet        bool
	Verbosity    int32
}

// options validates the words; dash is the index of the first one after "--", or -1.
func (f *flags) options(args []string, dash int) (Options, error) {
	words, command := args, []string(nil)
	if dash >= 0 {
		words, command = args[:dash], args[dash:]
	}
	o := Options{Container: f.container, Stdin: f.stdin, StartTimeout: f.startTimeout, Quiet: f.quiet, Verbosity: f.verbosity}
	o.Plan.Image = f.image
	if f.set.Changed("tty") {
		o.TTY = &f.tty
	}
	var err error
	for _, parse := range []func() error{
		func() error { o.Reference, err = target.ParseReference(words); return err },
		func() error {
			o.Mode, err = oneOf("mode", plan.Mode(f.mode), plan.ModeClone, plan.ModeDebug)
			return err
		},
		func() error {
			o.Plan.Via, err = oneOf("via", plan.Via(f.via), "", plan.ViaExec, plan.ViaAttach)
			return err
		},
		func() error { o.Plan.Command, err = f.chosenCommand(command); return err },
		func() error { o.Plan.Env, err = parseEnv(f.env); return err },
		func() error { o.Plan.CPU, err = parseQuantity("cpu", f.cpu); return err },
		func() error { o.Plan.Memory, err = parseQuantity("memory", f.memory); return err },
		func() error { return positive("start-timeout", f.startTimeout) },
	} {
		if err := parse(); err != nil {
			return Options{}, err
		}
	}
	return o, nil
}

func oneOf[T ~string](flag string, value T, allowed ...T) (T, error) {
	var names []string
	for _, a := range allowed {
		if value == a {
			return value, nil
		}
		if a != "" {
			names = append(names, string(a))
		}
	}
	return "", fmt.Errorf("--%s %q is not one of: %s", flag, value, strings.Join(names, ", "))
}

func (f *flags) chosenCommand(afterDash []string) ([]string, error) {
	switch {
	case !f.set.Changed("command"):
		return afterDash, nil
	case len(afterDash) > 0:
		return nil, fmt.Errorf("the command is given twice: by --command and after --")
	case len(f.command) == 0 || f.command[0] == "":
		return nil, fmt.Errorf("--command is empty")
	}
	return f.command, nil
}

func parseEnv(words []string) ([]plan.EnvChange, error) {
	var changes []plan.EnvChange
	for _, word := range words {
		name, value, set := strings.Cut(word, "=")
		change := plan.EnvChange{Name: name, Value: value}
		if !set {
			trimmed, dash := strings.CutSuffix(word, "-")
			if !dash && len(validation.IsEnvVarName(word)) > 0 {
				return nil, fmt.Errorf("--env: a word is neither NAME=VALUE nor NAME-")
			}
			if !dash {
				return nil, hint.Errorf("to take the variable from here: -e \""+word+"=$"+word+"\"", "--env %q is neither NAME=VALUE nor NAME-", word)
			}
			change = plan.EnvChange{Name: trimmed, Remove: true}
		}
		// What the API takes since Kubernetes 1.30 (KEP-4369); an older server will say so itself.
		// The value is never repeated in an error: it may be a secret.
		if problems := validation.IsRelaxedEnvVarName(change.Name); len(problems) > 0 {
			return nil, fmt.Errorf("--env: %q is not a name for a variable: %s", change.Name, problems[0])
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func parseQuantity(flag, value string) (resource.Quantity, error) {
	if value == "" {
		return resource.Quantity{}, nil
	}
	quantity, err := resource.ParseQuantity(value)
	if err != nil {
		return resource.Quantity{}, hint.Errorf("for example: --cpu 500m, --memory 2Gi", "--%s %q is not a quantity: %w", flag, value, err)
	}
	if quantity.Sign() <= 0 {
		return resource.Quantity{}, fmt.Errorf("--%s %q is not more than zero", flag, value)
	}
	if flag == "memory" && quantity.Cmp(*resource.NewQuantity(quantity.Value(), quantity.Format)) != 0 {
		// The server would only warn, and the node never start the pod. Value rounds up.
		return resource.Quantity{}, hint.Errorf("m means thousandths; megabytes are M or Mi", "--memory %q is not a whole number of bytes", value)
	}
	return quantity, nil
}

func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("--%s %s is not more than zero", flag, d)
	}
	return nil
}
