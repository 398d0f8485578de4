package cli

import (
	"bytes"
	"cmp"
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
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// parseInit distinguishes the three keywords from the names of containers.
func (f *flags) parseInit(parts *plan.Components) error {
	if !f.set.Changed("init") {
		return nil
	}
	for _, word := range []plan.Init{plan.InitAuto, plan.InitAll, plan.InitNone} {
		if slices.Contains(f.init, string(word)) {
			parts.Init = word
			return refuse(len(f.init) > 1, fmt.Sprintf("--init %s goes with no names", word), "")
		}
	}
	parts.Init, parts.InitNames = plan.InitNamed, f.init
	return f.validNames("init", validation.IsDNS1123Label, f.init...)
}

// parseOverrides checks the patch as far as possible without the pod. No error repeats the patch: it may hold
// a secret.
func (f *flags) parseOverrides(o *plan.Overrides) error {
	err := oneOf("override-type", f.overrideType, "json", "merge", "strategic")
	if err != nil || !f.set.Changed("overrides") {
		return err
	}
	o.Type = f.overrideType
	patch := []byte(o.Patch)
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(patch, new(any))); ok {
		return fmt.Errorf("--overrides is not well-formed JSON, at byte %d of %d", syntax.Offset, len(patch))
	}
	begins, what := byte('{'), "object"
	if o.Type == "json" {
		begins, what = '[', "array of operations"
	}
	if bytes.TrimSpace(patch)[0] != begins {
		return fmt.Errorf("--overrides is no JSON %s, which --override-type %s is", what, o.Type)
	}
	return nil
}

// parseLabels validates the labels that the user asked for.
func (f *flags) parseLabels(o *isolation.LabelOptions) error {
	for _, key := range o.Drop {
		if err := validLabel("drop-labels", "key", key, content.IsLabelKey); err != nil {
			return err
		}
	}
	o.Set = map[string]string{}
	for _, word := range f.labels {
		key, value, isSet := strings.Cut(word, "=")
		if !isSet {
			return fmt.Errorf("--labels %q is not KEY=VALUE", word)
		}
		if err := cmp.Or(validLabel("labels", "key", key, content.IsLabelKey),
			validLabel("labels", "value", value, content.IsLabelValue)); err != nil {
			return err
		}
		o.Set[key] = value
	}
	for _, key := range o.Drop {
		if _, set := o.Set[key]; set {
			return fmt.Errorf("label %s is both in --labels and in --drop-labels", key)
		}
	}
	return nil
}

func validLabel(flag, part, word string, problems func(string) []string) error {
	if p := problems(word); len(p) > 0 {
		return fmt.Errorf("--%s: %q is not a valid label %s: %s", flag, word, part,
			words.Rule(p[0]))
	}
	return nil
}

// parseUser reads UID or UID:GID. The API's range is that of a non-negative int32.
func (f *flags) parseUser(identity *plan.Identity) (err error) {
	if !f.set.Changed("as-user") {
		return nil
	}
	user, group, both := strings.Cut(f.asUser, ":")
	if identity.UID, err = f.parseID(user, validation.IsValidUserID); err == nil && both {
		identity.GID, err = f.parseID(group, validation.IsValidGroupID)
	}
	return err
}

func (f *flags) parseID(number string, problems func(int64) []string) (*int64, error) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("--as-user %q is neither UID nor UID:GID", f.asUser),
			"in numbers, for example: --as-user 1000:1000")
	}
	if p := problems(id); len(p) > 0 {
		return nil, fmt.Errorf("--as-user %q: %d %s", f.asUser, id, p[0])
	}
	return &id, nil
}
