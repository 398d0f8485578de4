package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// Reference names a workload by a valid name and a type. The type is either a kind that this package knows,
// or a type as the user wrote it, which the cluster may know. The zero Reference names none.
type Reference struct {
	Kind string
	Name string
	Type string // empty if Kind is set
}

// ParseReference reads the words before "--": TYPE/NAME, TYPE NAME, or a bare NAME, which means a pod, as in
// kubectl exec. Types are written as in kubectl: singular, plural or short, in any case, with or without the
// API version and group.
func ParseReference(words []string) (Reference, error) {
	typ, name, err := splitWords(words)
	if err != nil {
		return Reference{}, err
	}
	if typ == "" {
		return Reference{}, hint.Wrap(fmt.Errorf("no type stands before the slash"), typesHint())
	}
	kind, known := kindNamed(typ)
	// A pod's name is a DNS subdomain, and every workload's name has to fit into one.
	if problems := validation.NameIsDNSSubdomain(name, false); len(problems) > 0 {
		if len(words) == 2 && (!known || strings.Contains(name, "=")) {
			return Reference{}, moreWords(words)
		}
		return Reference{}, fmt.Errorf("%q is not a valid name: %s", name, rule(problems))
	}
	if known {
		return Reference{Kind: kind.name, Name: name}, nil
	}
	return Reference{Type: typ, Name: name}, nil
}

// String returns TYPE/NAME, with the type of a built-in kind in its canonical form.
func (r Reference) String() string {
	return cmp.Or(strings.ToLower(r.Kind), r.Type) + "/" + r.Name
}

func splitWords(words []string) (typ, name string, err error) {
	const usage = "kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"
	switch len(words) {
	case 0:
		return "", "", hint.Wrap(fmt.Errorf("no workload was named"), usage)
	case 1:
		typ, name, slash := strings.Cut(words[0], "/")
		kind, known := kindNamed(typ)
		if known && name == "" {
			return "", "", hint.Wrap(fmt.Errorf("%s is a type, and no name follows", typ),
				hint.Command("name one, as in %s; list what there is: kubectl get %s", typ+"/NAME",
					kind.types[1]))
		}
		if slash {
			return typ, name, nil
		}
		return "pod", words[0], nil
	case 2:
		if !strings.Contains(words[0], "/") {
			return words[0], words[1], nil
		}
	}
	return "", "", moreWords(words)
}

// moreWords returns the error for words after a workload. The hint has them where they belong, unless one may
// be a variable whose -e was forgotten: then none is repeated.
func moreWords(words []string) error {
	err := fmt.Errorf("expected one workload, but there are more words after %s", words[0])
	if slices.ContainsFunc(words[1:], func(word string) bool { return strings.Contains(word, "=") }) {
		return hint.Wrap(err, "a command goes after two dashes: "+
			"kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e")
	}
	named := 1
	if _, isType := kindNamed(words[0]); isType && len(words) > 2 {
		named = 2
	}
	typed := slices.Concat(words[:named], []string{"--"}, words[named:])
	return hint.Wrap(err, hint.Command("a command goes after two dashes: kubectl eshell"+
		strings.Repeat(" %s", len(typed)), typed...))
}

func kindNamed(typ string) (kind, bool) {
	typ = strings.ToLower(typ)
	typ, group, _ := strings.Cut(typ, ".")
	for _, k := range kinds() {
		if slices.Contains(k.types, typ) &&
			(group == "" || group == k.group || group == "v1."+k.group || group == "v1") {
			return k, true
		}
	}
	return kind{}, false
}

// suggestType returns the hint for a type that is not there.
func suggestType(typ, name string) string {
	var types []string
	for _, k := range kinds() {
		types = append(types, k.types...)
	}
	for _, meant := range hint.Closest(strings.ToLower(typ), types) {
		return hint.Command("did you mean: kubectl eshell %s", meant+"/"+name)
	}
	return typesHint()
}

func typesHint() string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.types[0])
	}
	return "types: " + strings.Join(names, ", ") + ", and custom ones with a pod template"
}

// rule returns what a valid name is.
func rule(problems []string) string { return words.Rule(problems[0]) }
