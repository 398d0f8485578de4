package isolation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// keep gives up no label. It refuses if the clone would then be adopted or get traffic. The hint is the flag
// that avoids this: --drop-labels with the fewest keys that are enough or, if there are none, --mode debug.
func (l *labelSelection) keep() (Result, error) {
	v := Result{Labels: l.labels(), Dropped: l.dropped, Matches: l.state.Matching(l.labels())}
	refused := refusal(v.Matches)
	if refused == nil {
		return v, nil
	}
	toEscape := slices.DeleteFunc(slices.Clone(l.state.Selectors),
		func(m Selector) bool { return !unacceptable(m) })
	keys, stuck := l.fewest(toEscape)
	if len(stuck) > 0 {
		return Result{}, hint.Wrap(refused, debugInstead)
	}
	return Result{}, hint.Wrap(refused, hint.Command("--drop-labels %s", strings.Join(keys, ","))+
		words.Plural(len(keys), " gives up the label", " gives up the labels")+" that it asks for")
}

const debugInstead = "--mode debug opens a shell in a running pod instead"

// unacceptable reports whether a match is one that the user cannot ask for. A Service ignores a pod that is
// not ready unless it publishes the pod's address anyway, and a budget only counts the pod. A Deployment
// adopts ReplicaSets and no pods. What reads its selector (HorizontalPodAutoscalers, kubectl logs) counts the
// clone. A StatefulSet adopts only pods named <set>-<ordinal>, as isMemberOf in Kubernetes'
// pkg/controller/statefulset/stateful_set_utils.go shows. A clone is named <source>-eshell-<session>. Every
// other built-in controller adopts a pod that has no owner and that its selector matches, as ClaimObject in
// pkg/controller/controller_ref_manager.go shows. What custom controllers do is not known.
func unacceptable(m Selector) bool {
	if m.Placement {
		return false
	}
	switch m.Kind {
	case "Service":
		return m.NotReady
	case "PodDisruptionBudget", "Deployment", "StatefulSet":
		return false
	}
	return true
}

// refusal returns an error that names the unacceptable matches, or nil if there are none.
func refusal(matches []Selector) error {
	var services, controllers []string
	for _, m := range matches {
		switch {
		case !unacceptable(m):
		case m.Kind == "Service":
			services = appendNew(services, m.String())
		default:
			controllers = appendNew(controllers, m.String())
		}
	}
	var facts []string
	if len(services) > 0 {
		facts = append(facts, words.ShortList(services, "and")+
			words.Plural(len(services), " publishes", " publish")+
			" the addresses of pods that are not ready: the clone would get requests")
	}
	if len(controllers) > 0 {
		facts = append(facts, words.ShortList(controllers, "and")+" would adopt the clone")
	}
	if len(facts) == 0 {
		return nil
	}
	return errors.New(strings.Join(facts, "; "))
}

// inescapable returns the error for labels that match a selector whichever of them are given up. stuck are
// the selectors that the search could not escape.
func (l *labelSelection) inescapable(stuck []Selector) error {
	matching := l.state.Matching(l.labels())
	next := debugInstead
	if l.state.Unknown == nil && !slices.ContainsFunc(matching, unacceptable) {
		next = "--keep-labels accepts it"
	}
	always := slices.DeleteFunc(slices.Clone(matching), // selectors that no key of the source breaks
		func(m Selector) bool { return len(l.breaking(m, nil)) > 0 })
	if len(always) > 0 {
		return hint.Wrap(errors.New(strings.Join(l.sentences(always), "; ")), next)
	}
	// Each selector can be escaped, but only by matching another one.
	whichever := names(slices.Concat(matching, stuck))
	return hint.Wrap(fmt.Errorf("whichever labels are given up, %s selects the clone",
		words.ShortList(whichever, "or")), next)
}

// cause is the reason why dropping the source's labels cannot stop a selector from matching. Either the user
// or eshell set the labels that it requires, or it requires none.
type cause struct {
	labels int    // how many labels the selector requires
	text   string // these labels, or the pods that it selects
}

func (l *labelSelection) cause(m Selector) cause {
	var given []string
	for _, key := range asks(m.Match) {
		given = append(given, key+"="+l.fixed[key])
	}
	if len(given) == 0 {
		return cause{0, words.Selected("pod", m.Match)}
	}
	return cause{len(given), words.List(given, "and")}
}

func (c cause) sentence(selecting []string) string {
	who := words.ShortList(selecting, "and")
	if c.labels == 0 {
		return who + words.Plural(len(selecting), " selects ", " select ") + c.text
	}
	return words.Plural(c.labels, "label ", "labels ") + c.text + words.Plural(c.labels, " makes ",
		" make ") + who + " select the clone"
}

// sentences explain why the selectors match, with one sentence for all that have the same cause.
func (l *labelSelection) sentences(selectors []Selector) []string {
	var causes []cause
	by := map[cause][]Selector{}
	for _, m := range selectors {
		c := l.cause(m)
		if by[c] == nil {
			causes = append(causes, c)
		}
		by[c] = append(by[c], m)
	}
	sentences := make([]string, len(causes))
	for i, c := range causes {
		sentences[i] = c.sentence(names(by[c]))
	}
	return sentences
}

// Recheck applies the same rules to labels that were changed after SelectLabels. It refuses a new or changed
// label if controllers find their pods by it or if it cannot be judged. It also refuses matches that were not
// accepted.
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
	switch {
	case keep:
		return refusal(matches)
	case len(matches) == 0:
		return nil
	}
	next := "--keep-labels accepts it"
	if slices.ContainsFunc(matches, unacceptable) {
		next = debugInstead
	}
	return hint.Wrap(fmt.Errorf("%s would select the clone", words.ShortList(names(matches), "and")), next)
}
