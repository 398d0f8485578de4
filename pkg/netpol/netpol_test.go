package netpol

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type (
	policies = []networkingv1.NetworkPolicy
	peer     = networkingv1.NetworkPolicyPeer
	change   = func(*networkingv1.NetworkPolicySpec)
)

// TestDifferences: what differs for the clone of a pod with app=api,tier=web that has only tier=web, if
// nothing else is said.
func TestDifferences(t *testing.T) {
	const ingress, egress = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	const (
		refused    = "policy db lets pods with app=api reach pods with app=db: this clone is not one of them"
		admitted   = ": this clone is one of them, the original is not"
		ofOriginal = "policy api selects the original and not the clone: its "
		ofClone    = "policy rest selects the clone and not the original: its "
	)
	lets := func(rest string) []string {
		return []string{"policy db lets " + rest + ": this clone is not one of them"}
	}
	db := func(changes ...change) networkingv1.NetworkPolicy {
		return networkPolicy("db", "app=db",
			changes...)
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
			want: []string{ofOriginal + "ingress rules do not apply to the clone"}},
		{name: "the original, both by default",
			policies: policies{networkPolicy("api", "app=api", to(podsWith("app=db")))},
			want:     []string{ofOriginal + "ingress and egress rules do not apply to the clone"}},
		{name: "the original, egress only",
			policies: policies{networkPolicy("api", "app=api", types(egress))},
			want:     []string{ofOriginal + "egress rules do not apply to the clone"}},
		{name: "a direction that is not restricted",
			policies: policies{networkPolicy("api", "app=api", types(ingress), to(podsWith("x")))},
			want:     []string{ofOriginal + "ingress rules do not apply to the clone"}},
		{name: "the clone", policies: policies{networkPolicy("rest", "!app", to(podsWith("x")))},
			want: []string{ofClone + "ingress and egress rules apply to the clone"}},
		{name: "the clone, and another the original",
			policies: policies{networkPolicy("api", "app=api"), networkPolicy("rest", "!app", from())},
			want: []string{ofOriginal + "ingress rules do not apply to the clone",
				ofClone + "ingress rules apply to the clone"}},

		// Whom others let in.
		{name: "refused", policies: policies{db(from(podsWith("app=api")))}, want: []string{refused}},
		{name: "refused, by two labels", policies: policies{db(from(podsWith("app=api,x in (y, z)")))},
			source: "app=api,x=y",
			want:   lets("pods with app=api and x in (y, z) reach pods with app=db")},
		{name: "refused, by another value", policies: policies{db(from(podsWith("app=api")))},
			clone: "app=mine", want: []string{refused}},
		{name: "refused, by what the clone has", policies: policies{db(from(podsWith("!x,tier notin (y)")))},
			clone: "tier=web,x=y",
			want:  lets("pods with tier not in (y) and no label x reach pods with app=db")},
		{name: "each peer that admitted it",
			policies: policies{db(from(podsWith("app=api"), podsWith("app"), podsWith("app=x"),
				podsWith("app=api")))},
			want: lets("pods with app=api or pods with label app reach pods with app=db")},
		{name: "every pod's policy", policies: policies{networkPolicy("all", "", from(podsWith("app=api")))},
			want: []string{"policy all lets pods with app=api reach every pod: this clone is not one of them"}},
		{name: "admitted instead", policies: policies{db(from(podsWith("!app")))},
			want: []string{"policy db lets pods with no label app reach pods with app=db" + admitted}},
		{name: "among its own",
			policies: policies{networkPolicy("api", "app=api", from(podsWith("app=api")))}, want: []string{
				ofOriginal + "ingress rules do not apply to the clone",
				"policy api lets pods with app=api reach pods with app=api: this clone is not one of them"}},
		{name: "egress-only policies let nobody in",
			policies: policies{db(types(egress), from(podsWith("app=api")))}},

		// Whom they let in all the same.
		{name: "everyone", policies: policies{db(from())}},
		{name: "nobody", policies: policies{db()}},
		{name: "every pod", policies: policies{db(from(podsWith("app=api"), podsWith("")))}},
		{name: "another rule", policies: policies{db(from(podsWith("app=api")), from(podsWith("tier=web")))}},
		{name: "another rule, at fewer ports",
			policies: policies{db(from(podsWith("app=api")), from(podsWith("tier=web")), on(port(80)))},
			want:     []string{refused}},
		{name: "another rule, at the same ports",
			policies: policies{db(from(podsWith("app=api")), on(port(80)), from(podsWith("tier=web")),
				on(port(80)))}},
		{name: "another rule, at all ports",
			policies: policies{db(from(podsWith("app=api")), on(port(80)), from(podsWith("tier=web")))}},
		{name: "another policy for the same pods",
			policies: policies{db(from(podsWith("app=api"))),
				networkPolicy("db2", "app=db", from(podsWith("tier")))}},
		{name: "another policy for every pod",
			policies: policies{db(from(podsWith("app=api"))), networkPolicy("all", "", from())}},
		{name: "another policy for fewer pods",
			policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app=db,x", from())},
			want:     []string{refused}},
		{name: "another policy for other pods",
			policies: policies{db(from(podsWith("app=api"))), networkPolicy("x", "app=cache", from())},
			want:     []string{refused}},
		{name: "another policy of egress",
			policies: policies{db(from(podsWith("app=api"))),
				networkPolicy("x", "app=db", types(egress), from())}, want: []string{refused}},

		// Ports.
		{name: "ports", policies: policies{db(from(podsWith("app=api")),
			on(port(5432), upTo(9000, port(8000)), udp(port(53)), udp(networkingv1.NetworkPolicyPort{}),
				networkingv1.NetworkPolicyPort{Port: new(intstr.FromString("pg"))}))},
			want: lets("pods with app=api reach pods with app=db on ports 5432, 8000-9000, 53/UDP, */UDP and pg")},
		{name: "a port", policies: policies{db(from(podsWith("app=api")), on(port(5432)))},
			want: lets("pods with app=api reach pods with app=db on port 5432")},

		// Other namespaces, and addresses.
		{name: "a peer of a kind to come", policies: policies{db(from(podsWith("app=api"), peer{}))},
			want: []string{refused}},
		{name: "every namespace", policies: policies{db(from(podsIn("", "app=api")))},
			want: lets("pods with app=api in every namespace reach pods with app=db")},
		{name: "this namespace",
			policies: policies{db(from(podsIn("kubernetes.io/metadata.name=shop", "app=api")))},
			want:     lets("pods with app=api in namespaces with kubernetes.io/metadata.name=shop reach pods with app=db")},
		{name: "another namespace",
			policies: policies{db(from(podsIn("kubernetes.io/metadata.name=other,x=y", "app=api")))}},
		{name: "perhaps this namespace", policies: policies{db(from(podsIn("team=shop", "app=api")))},
			want: lets("pods with app=api in namespaces with team=shop reach pods with app=db")},
		{name: "a namespace's pods alike",
			policies: policies{db(from(namespaces("team=shop"))),
				networkPolicy("x", "x", from(namespaces("")))}},
		{name: "all the namespace's pods", policies: policies{db(from(podsWith("app=api"), namespaces("")))}},
		{name: "addresses alike", policies: policies{db(from(addresses("10.0.0.0/8")))}},
		{name: "perhaps by its address",
			policies: policies{db(from(podsWith("app=api")), from(addresses("10.0.0.0/8")))},
			want:     []string{refused}},

		// All together.
		{name: "sorted, each once", policies: policies{
			networkPolicy("z", "app=api"),
			networkPolicy("a", "app=db", from(podsWith("app=api")), from(podsWith("app=api")))},
			want: []string{
				"policy a lets pods with app=api reach pods with app=db: this clone is not one of them",
				"policy z selects the original and not the clone: its ingress rules do not apply to the clone"}},
		{name: "nothing changed",
			policies: policies{networkPolicy("api", "app=api", from(podsWith("app=api")))},
			clone:    "app=api,tier=web"},
	}
	for _, tt := range tests {
		source, clone := "app=api,tier=web", "tier=web"
		if tt.source != "" {
			source = tt.source
		}
		if tt.clone != "" {
			clone = tt.clone
		}
		if got := Differences(tt.policies, set(source), set(clone)); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// TestUnreadable: selectors that nobody can read select nothing. They are not taken for the empty one.
func TestUnreadable(t *testing.T) {
	bad := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "no label's value!"}}
	own := networkPolicy("own", "", from(podsWith("app=api")))
	own.Spec.PodSelector = *bad
	peers := networkPolicy("peers", "app=db",
		from(peer{PodSelector: bad}, peer{NamespaceSelector: bad, PodSelector: labelSelector("app=api")}))
	if got := Differences(policies{own, peers}, set("app=api"), set("x=y")); len(got) > 0 {
		t.Errorf("differences %q", got)
	}
}

// The builders make valid objects in the namespace shop from kubectl's notation of labels and selectors.

func set(words string) map[string]string {
	parsed, err := labels.ConvertSelectorToLabelsMap(words)
	if err != nil {
		panic(err)
	}
	return parsed
}

func labelSelector(words string) *metav1.LabelSelector {
	parsed, err := metav1.ParseToLabelSelector(words)
	if err != nil {
		panic(err)
	}
	return parsed
}

// networkPolicy restricts the ingress of the pods of a selector, and lets nobody in.
func networkPolicy(name, selector string, changes ...change) networkingv1.NetworkPolicy {
	p := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	p.Spec.PodSelector = *labelSelector(selector)
	for _, change := range changes {
		change(&p.Spec)
	}
	return p
}

func from(peers ...peer) change {
	return func(s *networkingv1.NetworkPolicySpec) {
		s.Ingress = append(s.Ingress, networkingv1.NetworkPolicyIngressRule{From: peers})
	}
}

func to(peers ...peer) change {
	return func(s *networkingv1.NetworkPolicySpec) {
		s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{To: peers})
	}
}

func types(types ...networkingv1.PolicyType) change {
	return func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = types }
}

// on gives the last ingress rule its ports.
func on(ports ...networkingv1.NetworkPolicyPort) change {
	return func(s *networkingv1.NetworkPolicySpec) { s.Ingress[len(s.Ingress)-1].Ports = ports }
}

func port(number int) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: new(intstr.FromInt32(int32(number)))}
}

func udp(p networkingv1.NetworkPolicyPort) networkingv1.NetworkPolicyPort {
	p.Protocol = new(corev1.ProtocolUDP)
	return p
}

func upTo(end int32, p networkingv1.NetworkPolicyPort) networkingv1.NetworkPolicyPort {
	p.EndPort = &end
	return p
}

func podsWith(selector string) peer { return peer{PodSelector: labelSelector(selector)} }

func podsIn(namespaces, selector string) peer {
	return peer{NamespaceSelector: labelSelector(namespaces), PodSelector: labelSelector(selector)}
}

func namespaces(selector string) peer { return peer{NamespaceSelector: labelSelector(selector)} }

func addresses(cidr string) peer { return peer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}} }

// TestGrowth: twice as many policies take twice the work, not four times.
func TestGrowth(t *testing.T) {
	work := func(count int) float64 {
		var policies []networkingv1.NetworkPolicy
		for n := range count {
			app, next := fmt.Sprint("app=app-", n), fmt.Sprint("app=app-", n+1)
			policies = append(policies, networkPolicy(fmt.Sprint(n), app, from(podsWith(next))))
		}
		return testing.AllocsPerRun(1, func() { Differences(policies, set("app=app-7"), set("app=api")) })
	}
	if half, all := work(200), work(400); all > 2.5*half {
		t.Errorf("%.0f allocations with 200 policies, %.0f with 400", half, all)
	}
}
