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

// keep gives nothing up, and refuses where the clone would be adopted or get traffic all the same.
func (l *labelSelection) keep() (Result, error) {
	v := l.result()
	v.Matches = l.state.Matching(v.Labels)
	refused := unacceptableOf(v.Matches)
	if len(refused) > 0 {
		return Result{}, hint.Wrap(fmt.Errorf("%s", refusal(refused)), l.wayOut())
	}
	return v, nil
}

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

func unacceptableOf(selectors []Selector) []Selector {
	return slices.DeleteFunc(slices.Clone(selectors), func(m Selector) bool { return !unacceptable(m) })
}

func refusal(refused []Selector) string {
	var services, controllers []Selector
	for _, m := range refused {
		if m.Kind == "Service" {
			services = append(services, m)
		} else {
			controllers = append(controllers, m)
		}
	}
	var facts []string
	if who := names(services); len(who) > 0 {
		facts = append(facts, words.ShortList(who, "and")+words.Plural(len(who), " publishes", " publish")+
			" the addresses of pods that are not ready: the clone would get requests")
	}
	if who := names(controllers); len(who) > 0 {
		facts = append(facts, words.ShortList(who, "and")+" would adopt the clone")
	}
	return strings.Join(facts, "; ")
}

// wayOut is the flag that leads out of a refusal: the fewest keys to drop, if there are any that do.
func (l *labelSelection) wayOut() string {
	keys, stuck := l.search(unacceptableOf(l.state.Selectors)).fewest()
	if len(stuck) > 0 {
		return debugInstead
	}
	return "--drop-labels " + strings.Join(keys, ",") + words.Plural(len(keys), " gives up the label",
		" gives up the labels") + " that it asks for"
}

const debugInstead = "--mode debug opens a shell in a running pod instead"

// inescapable is the error of labels of which no set can be given up. The stuck selectors are those
// that the search could not get away from.
func (l *labelSelection) inescapable(stuck []Selector) error {
	matching := l.state.Matching(l.labels())
	next := debugInstead
	if l.state.Unknown == nil && !slices.ContainsFunc(matching, unacceptable) {
		next = "--keep-labels accepts it"
	}
	if always := l.always(matching); len(always) > 0 {
		return hint.Wrap(fmt.Errorf("%s", strings.Join(l.sentences(always), "; ")), next)
	}
	// Each can be escaped, but only into the other.
	whichever := names(slices.Concat(matching, stuck))
	return hint.Wrap(fmt.Errorf("whichever labels are given up, %s selects the clone",
		words.ShortList(whichever, "or")), next)
}

// always are those of the matching selectors that no key of the source breaks.
func (l *labelSelection) always(matching []Selector) []Selector {
	s := l.search(matching)
	return slices.DeleteFunc(slices.Clone(matching),
		func(m Selector) bool { return len(s.breaking(m, nil)) > 0 })
}

// cause is why nothing of the source's breaks a match: the labels that it asks for were set by the user
// or eshell, or it asks for none.
type cause struct {
	labels int    // how many it asks for
	text   string // these labels, or the pods that it selects
}

func (l *labelSelection) cause(m Selector) cause {
	var given []string
	for _, r := range requirements(m.Match) {
		if presence(r) {
			given = appendNew(given, r.Key()+"="+l.fixed[r.Key()])
		}
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
