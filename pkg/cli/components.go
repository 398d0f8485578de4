package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
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

// options validates the labels that were asked for.
func (l labelFlags) options() (isolation.LabelOptions, error) {
	options := isolation.LabelOptions{Keep: l.keep, Drop: l.drop}
	for _, key := range l.drop {
		if err := validLabel("drop-labels", "key", key, content.IsLabelKey); err != nil {
			return isolation.LabelOptions{}, err
		}
	}
	for _, word := range l.set {
		if err := addLabel(&options, word); err != nil {
			return isolation.LabelOptions{}, err
		}
	}
	for _, key := range l.drop {
		if _, set := options.Set[key]; set {
			return isolation.LabelOptions{},
				fmt.Errorf("label %s is both in --labels and in --drop-labels", key)
		}
	}
	return options, nil
}

func addLabel(options *isolation.LabelOptions, word string) error {
	key, value, isSet := strings.Cut(word, "=")
	if !isSet {
		return fmt.Errorf("--labels %q is not KEY=VALUE", word)
	}
	if err := validLabel("labels", "key", key, content.IsLabelKey); err != nil {
		return err
	}
	if err := validLabel("labels", "value", value, content.IsLabelValue); err != nil {
		return err
	}
	if options.Set == nil {
		options.Set = map[string]string{}
	}
	options.Set[key] = value
	return nil
}

func validLabel(flag, part, word string, problems func(string) []string) error {
	if p := problems(word); len(p) > 0 {
		return fmt.Errorf("--%s: %q is not a valid label %s: %s", flag, word, part, p[0])
	}
	return nil
}

func (f *flags) chosenIdentity() (plan.Identity, error) {
	words := f.identity
	identity := plan.Identity{NoToken: words.noToken, PullSecrets: words.pullSecrets}
	var err error
	if identity.ServiceAccount, err = f.name("service-account", words.serviceAccount); err != nil {
		return plan.Identity{}, err
	}
	for _, secret := range words.pullSecrets {
		if err := validName("image-pull-secret", secret, validation.IsDNS1123Subdomain); err != nil {
			return plan.Identity{}, err
		}
	}
	if f.set.Changed("as-user") {
		identity.UID, identity.GID, err = parseUser(words.asUser)
	}
	return identity, err
}

// parseUser reads UID or UID:GID. The API's range is that of a positive int32.
func parseUser(word string) (uid, gid *int64, err error) {
	user, group, both := strings.Cut(word, ":")
	if uid, err = parseID(word, user, validation.IsValidUserID); err == nil && both {
		gid, err = parseID(word, group, validation.IsValidGroupID)
	}
	if err != nil {
		return nil, nil, err
	}
	return uid, gid, nil
}

func parseID(word, number string, problems func(int64) []string) (*int64, error) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("--as-user %q is neither UID nor UID:GID", word),
			"in numbers, for example: --as-user 1000:1000")
	}
	if p := problems(id); len(p) > 0 {
		return nil, fmt.Errorf("--as-user %q: %d %s", word, id, p[0])
	}
	return &id, nil
}
