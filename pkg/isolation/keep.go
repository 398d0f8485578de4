package isolation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// keep gives nothing up, and refuses where the clone would be adopted or get traffic all the same.
func (j *labelSelection) keep() (Result, error) {
	v := j.result()
	v.Matches = j.state.Matching(v.Labels)
	refused := unacceptableOf(v.Matches)
	if len(refused) > 0 {
		return Result{}, hint.Wrap(fmt.Errorf("%s", refusal(refused)), j.wayOut())
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
func (j *labelSelection) wayOut() string {
	keys, stuck := j.search(unacceptableOf(j.state.Selectors)).fewest()
	if len(stuck) > 0 {
		return debugInstead
	}
	return "--drop-labels " + strings.Join(keys, ",") + words.Plural(len(keys), " gives up the label",
		" gives up the labels") + " that it asks for"
}
