package isolation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// check refuses options that contradict themselves or what the choice rests on.
func (w LabelOptions) check(s NamespaceState, own map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(w.Set)) {
		switch {
		case slices.Contains(w.Drop, key):
			return fmt.Errorf("label %s is both in --labels and in --drop-labels", key)
		// Controllers whose selectors need such a label are not in the namespace's state: no clone has it.
		case controllerLabels().has(key):
			return fmt.Errorf("label %s in --labels: controllers use it to find the pods that they made", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if _, set := w.Set[key]; set || slices.Contains(w.Drop, key) {
			return fmt.Errorf("label %s is reserved: eshell finds its clones by it", key)
		}
	}
	if s.Unknown != nil {
		return w.unjudged(s.Unknown)
	}
	return nil
}

// unjudged refuses labels that the user wants on the clone and nobody can judge.
func (w LabelOptions) unjudged(unknown error) error {
	var flags []string
	if w.Keep {
		flags = append(flags, "--keep-labels")
	}
	if len(w.Set) > 0 {
		flags = append(flags, "--labels")
	}
	if len(flags) == 0 {
		return nil
	}
	given := words.List(flags, "and")
	return hint.Wrap(fmt.Errorf("%s cannot be judged: %w", given, unknown),
		"leave out "+given+": the clone then has no label of the original")
}
