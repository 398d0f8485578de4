package isolation

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type policies = []networkingv1.NetworkPolicy

// What becomes of the clone of a pod with app=api,tier=web where it has only tier=web, if nothing
// else is said.
func TestConsequences(t *testing.T) {
	const ingress, egress = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	const refused = "policy db lets pods with app=api reach pods with app=db: this clone will be refused; --keep-labels keeps the label"
	db := func(changes ...func(*networkingv1.NetworkPolicySpec)) networkingv1.NetworkPolicy {
		return networkPolicy("db", "app=db", changes...)
	}
	tests := []struct {
		name          string
		policies      policies
		source, clone string
		want          []string
	}{
		{name: "no policies"},

		// Which of the two a policy selects.
		{name: "both", policies: policies{networkPolicy("all", ""), networkPolicy("web", "tier=web", to())}},
		{name: "neither", policies: policies{networkPolicy("db", "app=db"), networkPolicy("x", "app=api,x")}},
		{name: "the original, ingress by default", policies: policies{networkPolicy("api", "app=api")},
			want: []string{"policy api selects the original and not the clone: the clone is free of its ingress rules"}},
		{name: "the original, both by default", policies: policies{networkPolicy("api", "app=api", to(podsWith("app=db")))},
			want: []string{"policy api selects the original and not the clone: the clone is free of its ingress and egress rules"}},
		{name: "the original, egress only", policies: policies{networkPolicy("api", "app=api", types(egress))},
			want: []string{"policy api selects the original and not the clone: the clone is free of its egress rules"}},
		{name: "rules of a direction that the policy does not restrict", policies: policies{networkPolicy("api", "app=api", types(ingress), to(podsWith("x")))},
			want: []string{"policy api selects the original and not the clone: the clone is free of its ingress rules"}},
		{name: "another policy holds the clone", policies: policies{
			networkPolicy("all", "", types(egress)), networkPolicy("api", "app=api", from(), to(podsWith("app=db")))},
			want: []string{"policy api selects the original and not the clone: " +
				"the clone is free of its ingress rules and lacks what its egress rules allow; --keep-labels keeps the label"}},
		{name: "another policy allows the same", policies: policies{
			networkPolicy("api", "app=api", types(egress), to(podsWith("app=db"))), networkPolicy("web", "tier=web", types(egress), to(podsWith("app=db")))},
			want: []string{"policy api selects the original and not the clone: nothing changes, other policies restrict the clone as much"}},
		{name: "another policy allows more", policies: policies{
			networkPolicy("api", "app=api", from(namespaces("x=y")), on(port(80))), networkPolicy("web", "tier=web", from())},
			want: []string{"policy api selects the original and not the clone: nothing changes, other policies restrict the clone as much"}},
		{name: "another policy allows less", policies: policies{
			networkPolicy("api", "app=api", from(namespaces("x=y"))), networkPolicy("web", "tier=web", from(namespaces("x=y")), on(port(80)))},
			want: []string{"policy api selects the original and not the clone: the clone lacks what its ingress rules allow; --keep-labels keeps the label"}},
		{name: "two that allow nothing", policies: policies{networkPolicy("all", ""), networkPolicy("api", "app=api")},
			want: []string{"policy api selects the original and not the clone: nothing changes, other policies restrict the clone as much"}},
		{name: "the clone", policies: policies{networkPolicy("rest", "!app", to(podsWith("x")))},
			want: []string{"policy rest selects the clone and not the original: the clone is bound by its ingress and egress rules"}},
		{name: "the clone, and another the original", policies: policies{networkPolicy("api", "app=api"), networkPolicy("rest", "!app", from())},
			want: []string{
				"policy api selects the original and not the clone: nothing changes, other policies restrict the clone as much",
				"policy rest selects the clone and not the original: the clone has also what its ingress rules allow"}},
		{name: "the clone, in vain", policies: policies{networkPolicy("all", ""), networkPolicy("rest", "!app")},
			want: []string{"policy rest selects the clone and not the original: nothing changes, other policies restrict the original as much"}},

		// Whom others let in.
		{name: "refused", policies: policies{db(from(podsWith("app=api")))}, want: []string{refused}},
		{name: "refused, by two labels", policies: policies{db(from(podsWith("app=api,x in (y, z)")))}, source: "app=api,x=y", clone: "tier=web",
			want: []string{"policy db lets pods with app=api and x in (y, z) reach pods with app=db: this clone will be refused; --keep-labels keeps the labels"}},
		{name: "refused, by a mark that no clone has", policies: policies{db(from(podsWith("job-name")))}, source: "job-name=x", clone: "x=y",
			want: []string{"policy db lets pods with label job-name reach pods with app=db: this clone will be refused"}},
		{name: "refused, by another value", policies: policies{db(from(podsWith("app=api")))}, clone: "app=mine",
			want: []string{"policy db lets pods with app=api reach pods with app=db: this clone will be refused"}},
		{name: "refused, by what the clone has", policies: policies{db(from(podsWith("!x,tier notin (y)")))}, clone: "tier=web,x=y",
			want: []string{"policy db lets pods with tier not in (y) and no label x reach pods with app=db: this clone will be refused"}},
		{name: "each peer that admitted it", policies: policies{db(from(podsWith("app=api"), podsWith("app"), podsWith("app=x"), podsWith("app=api")))},
			want: []string{"policy db lets pods with app=api or pods with label app reach pods with app=db: this clone will be refused; --keep-labels keeps the label"}},
		{name: "every pod's policy", policies: policies{networkPolicy("all", "", from(podsWith("app=api")))},
			want: []string{"policy all lets pods with app=api reach every pod: this clone will be refused; --keep-labels keeps the label"}},
		{name: "admitted instead", policies: policies{db(from(podsWith("!app")))},
			want: []string{"policy db lets pods with no label app reach pods with app=db: this clone will be admitted, the original is not"}},
		{name: "among its own", policies: policies{networkPolicy("api", "app=api", from(podsWith("app=api")))}, want: []string{
			"policy api selects the original and not the clone: the clone is free of its ingress rules",
			"policy api lets pods with app=api reach pods with app=api: this clone will be refused; --keep-labels keeps the label"}},
		{name: "egress-only policies let nobody in", policies: policies{db(types(egress), from(podsWith("app=api")))}},

		// Whom they let in all the same.
		{name: "everyone", policies: policies{db(from())}},
		{name: "nobody", policies: policies{db()}},
		{name: "every pod", policies: policies{db(from(podsWith("app=api"), podsWith("")))}},
		{name: "another rule", policies: policies{db(from(podsWith("app=api")), from(podsWith("tier=web")))}},
		{name: "another rule, at fewer ports", policies: policies{db(from(podsWith("app=api")), from(podsWith("tier=web")), on(port(80)))}, want: []string{refused}},
		{name: "another rule, at the same ports", policies: policies{db(from(podsWith("app=api")), on(port(80)), from(podsWith("tier=web")), on(upTo(90, port(70))))}},
		{name: "another policy for the same pods", policies: policies{db(from(podsWith("app=api"))), networkPolicy("db2", "app=db", from(podsWith("tier")))}},
		{name: "another policy for more pods", policies: policies{db(from(podsWith("app=api"))), networkPolicy("all", "", from())}},
		{name: "another policy for fewer pods", policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app=db,x", from())}, want: []string{strings.Replace(refused, "will", "may", 1)}},
		{name: "another policy for other pods", policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app=cache", from())}, want: []string{refused}},
		{name: "another spelling of the same pods", policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app in (db)", from())}},
		{name: "another policy of egress", policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app=db", types(egress), from())}, want: []string{refused}},

		// Ports.
		{name: "ports", policies: policies{db(from(podsWith("app=api")), on(port(5432), upTo(9000, port(8000)), udp(port(53)), udp(networkingv1.NetworkPolicyPort{}),
			networkingv1.NetworkPolicyPort{Port: new(intstr.FromString("pg"))}))},
			want: []string{"policy db lets pods with app=api reach pods with app=db on ports 5432, 8000-9000, 53/UDP, */UDP and pg: " +
				"this clone will be refused; --keep-labels keeps the label"}},
		{name: "one of two ports", policies: policies{db(from(podsWith("app=api")), on(port(1), port(2)), from(podsWith("tier=web")), on(port(2)))},
			want: []string{"policy db lets pods with app=api reach pods with app=db on ports 1 and 2: this clone will be refused; --keep-labels keeps the label"}},
		{name: "a range beyond the other's", policies: policies{db(from(podsWith("app=api")), on(upTo(95, port(80))), from(podsWith("tier=web")), on(upTo(90, port(80))))},
			want: []string{"policy db lets pods with app=api reach pods with app=db on port 80-95: this clone will be refused; --keep-labels keeps the label"}},
		{name: "another protocol", policies: policies{db(from(podsWith("app=api")), on(udp(port(53))), from(podsWith("tier=web")), on(port(53)))},
			want: []string{"policy db lets pods with app=api reach pods with app=db on port 53/UDP: this clone will be refused; --keep-labels keeps the label"}},
		{name: "a port by its name", policies: policies{db(from(podsWith("app=api")), on(networkingv1.NetworkPolicyPort{Port: new(intstr.FromString("pg"))}), from(podsWith("tier=web")), on(port(5432)))},
			want: []string{"policy db lets pods with app=api reach pods with app=db on port pg: this clone will be refused; --keep-labels keeps the label"}},

		// Other namespaces, and addresses.
		{name: "a peer of a kind to come", policies: policies{db(from(podsWith("app=api"), peer{}))}, want: []string{refused}},
		{name: "every namespace", policies: policies{db(from(podsIn("", "app=api")))},
			want: []string{"policy db lets pods with app=api in every namespace reach pods with app=db: this clone will be refused; --keep-labels keeps the label"}},
		{name: "this namespace", policies: policies{db(from(podsIn("kubernetes.io/metadata.name=shop", "app=api")))},
			want: []string{"policy db lets pods with app=api in namespaces with kubernetes.io/metadata.name=shop reach pods with app=db: " +
				"this clone will be refused; --keep-labels keeps the label"}},
		{name: "another namespace", policies: policies{db(from(podsIn("kubernetes.io/metadata.name=other,x=y", "app=api")))}},
		{name: "perhaps this namespace", policies: policies{db(from(podsIn("team=shop", "app=api")))},
			want: []string{"policy db lets pods with app=api in namespaces with team=shop reach pods with app=db: this clone may be refused; --keep-labels keeps the label"}},
		{name: "perhaps this namespace, the other way", policies: policies{db(from(podsIn("team=shop", "!app")))},
			want: []string{"policy db lets pods with no label app in namespaces with team=shop reach pods with app=db: this clone may be admitted, the original is not"}},
		{name: "a namespace's pods alike", policies: policies{db(from(namespaces("team=shop"))), networkPolicy("x", "x", from(namespaces("")))}},
		{name: "all the namespace's pods", policies: policies{db(from(podsWith("app=api"), namespaces("")))}},
		{name: "perhaps all the namespace's pods", policies: policies{db(from(podsWith("app=api"), namespaces("team=shop")))},
			want: []string{"policy db lets pods with app=api reach pods with app=db: this clone may be refused; --keep-labels keeps the label"}},
		{name: "addresses alike", policies: policies{db(from(addresses("10.0.0.0/8")))}},
		{name: "perhaps by its address", policies: policies{db(from(podsWith("app=api")), from(addresses("10.0.0.0/8")))},
			want: []string{"policy db lets pods with app=api reach pods with app=db: this clone may be refused; --keep-labels keeps the label"}},

		// All together.
		{name: "sorted, each once", policies: policies{
			networkPolicy("z", "app=api"), networkPolicy("a", "app=db", from(podsWith("app=api")), from(podsWith("app=api")))},
			want: []string{
				"policy a lets pods with app=api reach pods with app=db: this clone will be refused; --keep-labels keeps the label",
				"policy z selects the original and not the clone: the clone is free of its ingress rules"}},
		{name: "nothing changed", policies: policies{networkPolicy("api", "app=api", from(podsWith("app=api")))}, clone: "app=api,tier=web"},
	}
	for _, tt := range tests {
		source, clone := "app=api,tier=web", "tier=web"
		if tt.source != "" {
			source = tt.source
		}
		if tt.clone != "" {
			clone = tt.clone
		}
		equal(t, tt.name, "consequences", Consequences(tt.policies, set(source), set(clone)), tt.want)
	}
}

// Selectors that nobody can read select nothing: they are not taken for the empty one.
func TestUnreadablePolicies(t *testing.T) {
	bad := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "no label's value!"}}
	own := networkPolicy("own", "", from(podsWith("app=api")))
	own.Spec.PodSelector = *bad
	peers := networkPolicy("peers", "app=db", from(peer{PodSelector: bad}, peer{NamespaceSelector: bad, PodSelector: labelSelector("app=api")}))
	equal(t, "unreadable", "consequences", Consequences(policies{own, peers}, set("app=api"), set("x=y")), []string(nil))
}
