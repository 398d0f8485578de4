package cli

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

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
