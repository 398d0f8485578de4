package podgen

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Node is the name of the node on which live pods run and claims are in use.
const Node = "node1"

func (g *generator) schedule(spec *corev1.PodSpec) {
	spec.NodeSelector = some(g, 0.2,
		func() map[string]string { return map[string]string{"disk": "ssd", corev1.LabelOSStable: "linux"} })
	spec.Affinity = some(g, 0.5, g.affinity)
	spec.Tolerations = list(g, 0, 2, func(int) corev1.Toleration { return g.toleration() })
	spec.TopologySpreadConstraints = g.spread()
	spec.SchedulerName = pick(g, "", "", corev1.DefaultSchedulerName, "volcano")
	// A pod with gates has no node yet.
	if g.maybe(0.2) {
		spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue.x-k8s.io/admission"}}
	} else if g.maybe(0.1) {
		spec.NodeName = Node
	}
	if g.maybe(0.3) {
		spec.PriorityClassName = g.classes.Priority
	}
	if g.maybe(0.2) {
		spec.RuntimeClassName = new(g.classes.Runtime)
	}
}

func (g *generator) toleration() corev1.Toleration {
	t := corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "shop",
		Effect: pick(g, "", corev1.TaintEffectNoSchedule)}
	if g.maybe(0.5) {
		t = corev1.Toleration{Key: pick(g, "", "spot"), Operator: corev1.TolerationOpExists,
			Effect: corev1.TaintEffectNoExecute, TolerationSeconds: optional[int64](g, 0, 300)}
	}
	return t
}

func (g *generator) spread() []corev1.TopologySpreadConstraint {
	var made []corev1.TopologySpreadConstraint
	// Each key is spread over once.
	for _, key := range subset(g, 0.2, topologies()...) {
		c := corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: key, LabelSelector: some(g, 0.8, g.selector),
			WhenUnsatisfiable:  pick(g, corev1.DoNotSchedule, corev1.ScheduleAnyway),
			NodeAffinityPolicy: optional(g, corev1.NodeInclusionPolicyHonor),
			NodeTaintsPolicy:   optional(g, corev1.NodeInclusionPolicyIgnore),
		}
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			c.MinDomains = optional[int32](g, 2)
		}
		if c.LabelSelector != nil {
			c.MatchLabelKeys = some(g, 0.3, hashKey)
		}
		made = append(made, c)
	}
	return made
}

func topologies() []string { return []string{corev1.LabelHostname, corev1.LabelTopologyZone} }

// hashKey is the key that is used to tell revisions apart. It is in no selector of the vocabulary,
// which the API would refuse.
func hashKey() []string { return []string{"pod-template-hash"} }

func (g *generator) affinity() *corev1.Affinity {
	return &corev1.Affinity{
		NodeAffinity: some(g, 0.6, g.nodeAffinity),
		PodAffinity: some(g, 0.5, func() *corev1.PodAffinity {
			return &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: g.podTerms(),
				PreferredDuringSchedulingIgnoredDuringExecution: g.weightedPodTerms()}
		}),
		PodAntiAffinity: some(g, 0.5, func() *corev1.PodAntiAffinity {
			return &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: g.podTerms(),
				PreferredDuringSchedulingIgnoredDuringExecution: g.weightedPodTerms()}
		}),
	}
}

func (g *generator) nodeAffinity() *corev1.NodeAffinity {
	return &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: some(g, 0.6, func() *corev1.NodeSelector {
			return &corev1.NodeSelector{NodeSelectorTerms: list(g, 1, 2,
				func(int) corev1.NodeSelectorTerm { return g.nodeTerm() })}
		}),
		PreferredDuringSchedulingIgnoredDuringExecution: list(g, 0, 2,
			func(i int) corev1.PreferredSchedulingTerm {
				return corev1.PreferredSchedulingTerm{Weight: int32(10 + i), Preference: g.nodeTerm()}
			}),
	}
}

// nodeTerm may be empty: such a term matches no node.
func (g *generator) nodeTerm() corev1.NodeSelectorTerm {
	operator := pick(g, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists,
		corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt)
	r := corev1.NodeSelectorRequirement{Key: "disk", Operator: operator}
	switch operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		r.Values = []string{"ssd", "nvme"}
	case corev1.NodeSelectorOpGt:
		r.Values = []string{"3"}
	}
	return corev1.NodeSelectorTerm{
		MatchExpressions: some(g, 0.8,
			func() []corev1.NodeSelectorRequirement { return []corev1.NodeSelectorRequirement{r} }),
		MatchFields: some(g, 0.2, func() []corev1.NodeSelectorRequirement {
			return []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField,
				Operator: corev1.NodeSelectorOpIn, Values: []string{Node}}}
		}),
	}
}

func (g *generator) podTerms() []corev1.PodAffinityTerm {
	return list(g, 0, 2, func(int) corev1.PodAffinityTerm { return g.podTerm() })
}

func (g *generator) weightedPodTerms() []corev1.WeightedPodAffinityTerm {
	return list(g, 0, 1, func(int) corev1.WeightedPodAffinityTerm {
		return corev1.WeightedPodAffinityTerm{Weight: 50, PodAffinityTerm: g.podTerm()}
	})
}

func (g *generator) podTerm() corev1.PodAffinityTerm {
	t := corev1.PodAffinityTerm{
		TopologyKey: pick(g, topologies()...), LabelSelector: some(g, 0.8, g.selector),
		Namespaces:        some(g, 0.2, func() []string { return []string{"shop"} }),
		NamespaceSelector: some(g, 0.2, g.selector),
	}
	if t.LabelSelector != nil {
		t.MatchLabelKeys = some(g, 0.2, hashKey)
		t.MismatchLabelKeys = some(g, 0.2, func() []string { return []string{"tenant"} })
	}
	return t
}

func (g *generator) gates() []corev1.PodReadinessGate {
	return list(g, 0, 1, func(i int) corev1.PodReadinessGate {
		return corev1.PodReadinessGate{ConditionType: corev1.PodConditionType(
			fmt.Sprintf("target-health.example.com/%d", i))}
	})
}
