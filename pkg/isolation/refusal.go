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

// keep gives nothing up, and refuses where the clone would be adopted or get traffic all the same. The
// hint is the flag that leads out: the fewest keys to drop, if there are any that do.
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
	return Result{}, hint.Wrap(refused, "--drop-labels "+strings.Join(keys, ",")+
		words.Plural(len(keys), " gives up the label", " gives up the labels")+" that it asks for")
}

const debugInstead = "--mode debug opens a shell in a running pod instead"

// unacceptable says that a match cannot be wished. A Service passes over a pod that is not ready unless
// it publishes its address all the same, and a budget only counts it. A Deployment adopts ReplicaSets
// and no pods; what reads its selector (HorizontalPodAutoscalers, kubectl logs) counts the clone. A
// StatefulSet adopts only pods named <set>-<ordinal>: isMemberOf in Kubernetes'
// pkg/controller/statefulset/stateful_set_utils.go; a clone is named <source>-eshell-<session>. Every
// other built-in controller adopts a pod without an owner that its selector matches: ClaimObject in
// pkg/controller/controller_ref_manager.go. What custom ones do is not known.
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

// refusal says what is unacceptable of the matches, or is nil.
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

// inescapable is the error of labels of which no set can be given up. The stuck selectors are those
// that the search could not get away from.
func (l *labelSelection) inescapable(stuck []Selector) error {
	matching := l.state.Matching(l.labels())
	next := debugInstead
	if l.state.Unknown == nil && !slices.ContainsFunc(matching, unacceptable) {
		next = "--keep-labels accepts it"
	}
	always := slices.DeleteFunc(slices.Clone(matching), // those that no key of the source breaks
		func(m Selector) bool { return len(l.breaking(m, nil)) > 0 })
	if len(always) > 0 {
		return hint.Wrap(errors.New(strings.Join(l.sentences(always), "; ")), next)
	}
	// Each can be escaped, but only into the other.
	whichever := names(slices.Concat(matching, stuck))
	return hint.Wrap(fmt.Errorf("whichever labels are given up, %s selects the clone",
		words.ShortList(whichever, "or")), next)
}

// cause is why nothing of the source's breaks a match: the labels that it asks for were set by the user
// or eshell, or it asks for none.
type cause struct {
	labels int    // how many it asks for
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

// sentences say why the selectors match, one for all of the same cause.
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
