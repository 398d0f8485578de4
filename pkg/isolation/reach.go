package isolation

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// refusals says which of p's rules let the original reach p's pods and do not let the clone.
func (c comparison) refusals(p policy) []string {
	return c.reach(p, c.source, c.clone, func(sure bool, peers []labels.Selector) string {
		return "this clone " + will(sure) + " be refused" + c.keepHint(peers...)
	})
}

// admissions says which of p's rules let the clone reach p's pods and do not let the original.
func (c comparison) admissions(p policy) []string {
	return c.reach(p, c.clone, c.source, func(sure bool, _ []labels.Selector) string {
		return "this clone " + will(sure) + " be admitted, the original is not"
	})
}

func will(sure bool) string {
	if sure {
		return "will"
	}
	return "may"
}

// reach says which of p's rules admit the one pod rather than the other, whom no rule lets in to the
// same pods and ports. The end of each sentence is told how sure that is, and the peers by which the
// one is admitted.
func (c comparison) reach(p policy, one, other map[string]string, end func(bool, []labels.Selector) string) []string {
	var sentences []string
	for _, r := range p.rules[networkingv1.PolicyTypeIngress] {
		admitted, still := r.admits(p.namespace, one), c.admitted(p, r, other)
		if admitted <= still {
			continue
		}
		var peers []labels.Selector
		var words []string
		for _, peer := range r.peers {
			if admits(peer, p.namespace, one) > still {
				peers = append(peers, podSelector(peer.PodSelector))
				words = appendNew(words, peerInWords(peer))
			}
		}
		sentences = append(sentences, fmt.Sprintf("policy %s lets %s reach %s%s: %s", p.name,
			list(words, "or"), inWords("pod", p.pods), onPorts(r.ports), end(admitted == yes && still == no, peers)))
	}
	return sentences
}

// admitted says whether a pod may reach the pods and ports that r, a rule of p, is about, by any rule.
func (c comparison) admitted(p policy, r rule, podLabels map[string]string) answer {
	best := no
	for _, q := range c.policies {
		if q.apartFrom(p) {
			continue
		}
		surest := maybe // it holds for some of the same pods
		if q.covers(p) {
			surest = yes
		}
		for _, wide := range q.rules[networkingv1.PolicyTypeIngress] {
			if coversPorts(wide.ports, r.ports) {
				best = max(best, min(surest, wide.admits(q.namespace, podLabels)))
			}
		}
	}
	return best
}

// keepHint tells of --keep-labels where that would make the clone match one of the selectors as the
// original does: what it lacks are labels of the original that were given up, and that are not
// dropped in any case.
func (c comparison) keepHint(selectors ...labels.Selector) string {
	for _, s := range selectors {
		if keys, ok := c.givenUp(s); ok {
			return "; --keep-labels keeps the " + plural(len(keys), "label", "labels")
		}
	}
	return ""
}

func (c comparison) givenUp(s labels.Selector) (keys []string, ok bool) {
	for _, r := range requirements(s) {
		if r.Matches(labels.Set(c.clone)) {
			continue
		}
		if _, there := c.clone[r.Key()]; there || !presence(r) || IsManagedLabel(r.Key()) {
			return nil, false
		}
		keys = appendNew(keys, r.Key())
	}
	return keys, true
}

func peerInWords(peer networkingv1.NetworkPolicyPeer) string {
	words := inWords("pod", podSelector(peer.PodSelector))
	if peer.NamespaceSelector == nil {
		return words
	}
	return words + " in " + inWords("namespace", podSelector(peer.NamespaceSelector))
}

// onPorts says which ports a rule is about: " on port 5432", or nothing for all.
func onPorts(ports []networkingv1.NetworkPolicyPort) string {
	var words []string
	for _, p := range ports {
		words = appendNew(words, portInWords(p))
	}
	if len(words) == 0 {
		return ""
	}
	return " on " + plural(len(words), "port ", "ports ") + list(words, "and")
}

func portInWords(p networkingv1.NetworkPolicyPort) string {
	words := "*"
	if p.Port != nil {
		words = p.Port.String()
	}
	if p.EndPort != nil {
		words += "-" + strconv.Itoa(int(*p.EndPort))
	}
	if protocol(p) != corev1.ProtocolTCP {
		words += "/" + string(protocol(p))
	}
	return words
}
