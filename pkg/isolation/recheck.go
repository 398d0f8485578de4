package isolation

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// Recheck judges labels that have been changed after the result, by the same rules: what is new may
// be no controller's mark and has to be judged, and nothing may match that was not accepted.
func Recheck(before, after map[string]string, s NamespaceState, keep bool) error {
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if value, had := before[key]; had && value == after[key] {
			continue
		}
		if controllerLabels().has(key) {
			return fmt.Errorf("label %s: controllers use it to find the pods that they made", key)
		}
		if s.Unknown != nil {
			return fmt.Errorf("label %s cannot be judged: %w", key, s.Unknown)
		}
	}
	matches := s.Matching(after)
	if keep {
		if refused := unacceptableOf(matches); len(refused) > 0 {
			return errors.New(refusal(refused))
		}
		return nil
	}
	if len(matches) == 0 {
		return nil
	}
	next := "--keep-labels accepts it"
	if slices.ContainsFunc(matches, unacceptable) {
		next = debugInstead
	}
	return hint.Wrap(fmt.Errorf("%s would select the clone", words.ShortList(names(matches), "and")), next)
}
