package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

func (f *flags) chosenComponents() (plan.Components, error) {
	words := f.components
	parts := plan.Components{With: words.with, WithAll: words.withAll, NoDevices: words.noDevices}
	for _, parse := range []func() error{
		func() error { return f.containers("with", words.with) },
		func() (err error) { parts.Init, parts.InitNames, err = f.chosenInit(); return err },
		into(&parts.Volumes, func() (plan.Volumes, error) {
			return oneOf("volumes", plan.Volumes(words.volumes), "", plan.VolumesShared, plan.VolumesReadOnly,
				plan.VolumesFresh)
		}),
		into(&parts.Ordinal, f.chosenOrdinal),
	} {
		if err := parse(); err != nil {
			return plan.Components{}, err
		}
	}
	return parts, nil
}

// containers validates names of containers, if they were given.
func (f *flags) containers(flag string, names []string) error {
	if f.set.Changed(flag) && len(names) == 0 {
		return fmt.Errorf("--%s is empty", flag)
	}
	for _, name := range names {
		if err := validName(flag, name, validation.IsDNS1123Label); err != nil {
			return err
		}
	}
	return nil
}

// chosenInit tells the three words from the names of containers.
func (f *flags) chosenInit() (plan.Init, []string, error) {
	names := f.components.init
	if !f.set.Changed("init") {
		return "", nil, nil
	}
	for _, word := range []plan.Init{plan.InitAuto, plan.InitAll, plan.InitNone} {
		switch {
		case !slices.Contains(names, string(word)):
		case len(names) > 1:
			return "", nil, fmt.Errorf("--init %s goes with no names", word)
		default:
			return word, nil, nil
		}
	}
	return plan.InitNamed, names, f.containers("init", names)
}

func (f *flags) chosenOrdinal() (*int, error) {
	switch {
	case !f.set.Changed("ordinal"):
		return nil, nil
	case f.components.ordinal < 0:
		return nil, fmt.Errorf("--ordinal %d is less than zero", f.components.ordinal)
	}
	return new(f.components.ordinal), nil
}

// chosenOverrides checks the patch as far as that can be done without the pod. No error repeats it:
// it may hold a secret.
func (f *flags) chosenOverrides() (plan.Overrides, error) {
	patch := []byte(f.source.overrides)
	kind, err := oneOf("override-type", f.source.overrideType, "json", "merge", "strategic")
	if err != nil || !f.set.Changed("overrides") {
		return plan.Overrides{}, err
	}
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(patch, new(any)), &syntax) {
		return plan.Overrides{},
			fmt.Errorf("--overrides is not well-formed JSON, at byte %d of %d", syntax.Offset, len(patch))
	}
	begins, what := byte('{'), "object"
	if kind == "json" {
		begins, what = '[', "array of operations"
	}
	if bytes.TrimSpace(patch)[0] != begins {
		return plan.Overrides{},
			fmt.Errorf("--overrides is no JSON %s, which --override-type %s is", what, kind)
	}
	return plan.Overrides{Patch: f.source.overrides, Type: kind}, nil
}
