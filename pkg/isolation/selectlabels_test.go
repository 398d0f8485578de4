package isolation

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func dump(v any) string {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}

const own = "managed-by=kubectl-eshell,session=abcde"

// What is kept, what is dropped and why.
func TestJudge(t *testing.T) {
	const controllers, gitOps, queue = "controllers use it to find the pods that they made",
		"GitOps tools delete objects with their labels that are in no manifest",
		"a queue would hold the clone back, or count it in the original's group"
	tests := []struct {
		name    string
		source  string
		around  NamespaceState
		wish    LabelOptions
		kept    string // beside eshell's own
		dropped []Dropped
	}{
		{name: "nothing selects", source: "app=api,tier=web", kept: "app=api,tier=web"},
		{name: "no labels"},
		{
			"one key breaks every match", "app=api,team=a",
			around("Service/api: app=api", "PodDisruptionBudget/api: app=api", "Deployment/api: app=api"),
			LabelOptions{},
			"team=a", []Dropped{{[]string{"app"},
				"service/api, poddisruptionbudget/api and deployment/api select by it"}},
		},
		{
			"the fewest keys, not the first", "app=api,name=api,tier=web",
			around("Service/a: app=api,tier=web", "Service/b: name=api,tier=web"), LabelOptions{},
			"app=api,name=api", []Dropped{{[]string{"tier"}, "service/a and service/b select by it"}},
		},
		{
			"what does not select the original does not count", "app=api", around("Service/other: app=other"),
			LabelOptions{}, "app=api", nil,
		},
		{
			"two groups", "app=api,tier=web,team=a", around("Service/api: app=api", "Service/web: tier=web"),
			LabelOptions{}, "team=a",
			[]Dropped{{[]string{"app"}, "service/api selects by it"},
				{[]string{"tier"}, "service/web selects by it"}},
		},
		{
			"a key is named with what it breaks although another breaks it too", "a=1,b=1,c=1,d=1",
			around("Service/ab: a=1,b=1", "Service/a: a=1", "Service/b: b=1"), LabelOptions{}, "c=1,d=1",
			[]Dropped{{[]string{"a"}, "service/ab and service/a select by it"},
				{[]string{"b"}, "service/ab and service/b select by it"}},
		},
		{
			"many selectors", "app=api",
			around("Service/a: app", "Service/b: app", "Service/c: app", "Service/d: app",
				"Service/e: app"), LabelOptions{}, "",
			[]Dropped{{[]string{"app"}, "service/a, service/b, service/c and 2 more select by it"}},
		},
		{
			"read twice, named once", "app=api", around("Deployment/api: app=api", "Deployment/api: app=api"),
			LabelOptions{}, "",
			[]Dropped{{[]string{"app"}, "deployment/api selects by it"}},
		},
		{
			"a removal that creates a match", "app=api,canary=no,tier=web",
			around("Service/api: app=api,canary=no", "PodDisruptionBudget/stable: tier=web,!canary"),
			LabelOptions{}, "canary=no,tier=web",
			[]Dropped{{[]string{"app"}, "service/api selects by it"}},
		},
		{
			"a created match is broken too", "canary=no,tier=web",
			around("Service/canary: canary=no",
				"PodDisruptionBudget/stable: tier=web,canary notin (yes, no)"), LabelOptions{}, "",
			[]Dropped{{[]string{"canary"}, "service/canary selects by it"},
				{[]string{"tier"}, "poddisruptionbudget/stable selects by it"}},
		},

		// Which of two equals.
		{
			"the alphabet", "a=1,b=1", around("Service/x: a=1,b=1"), LabelOptions{}, "b=1",
			[]Dropped{{[]string{"a"}, "service/x selects by it"}},
		},
		{
			"Argo CD's label first", "a=1,app.kubernetes.io/instance=x",
			around("Service/x: a=1,app.kubernetes.io/instance=x"), LabelOptions{},
			"a=1", []Dropped{{[]string{"app.kubernetes.io/instance"}, "service/x selects by it"}},
		},
		{
			"no key that policies select by", "a=1,app.kubernetes.io/instance=x,c=1",
			around("Service/x: a=1,app.kubernetes.io/instance=x,c=1").with(
				networkPolicy("own", "app.kubernetes.io/instance"),
				networkPolicy("peers", "db=1", from(podsWith("a in (1, 2)")))), LabelOptions{},
			"a=1,app.kubernetes.io/instance=x", []Dropped{{[]string{"c"}, "service/x selects by it"}},
		},
		{
			"the key of the fewest policies", "a=1,b=1", around("Service/x: a=1,b=1").with(
				networkPolicy("a", "a=1"), networkPolicy("b", "a notin (2)", from(podsWith("b=1"))),
				networkPolicy("c", "c=1", to(podsIn("x=y", "a")))), LabelOptions{},
			"a=1", []Dropped{{[]string{"b"}, "service/x selects by it"}},
		},
		{
			"fewest keys before policies", "a=1,b=1,c=1",
			around("Service/x: a=1,b=1", "Service/y: a=1,c=1").with(networkPolicy("a", "a=1")),
			LabelOptions{},
			"b=1,c=1", []Dropped{{[]string{"a"}, "service/x and service/y select by it"}},
		},

		// Bookkeeping.
		{
			"marks", "app=api,pod-template-hash=1,job-name=x,batch.kubernetes.io/job-name=x,helm.sh/chart=x,argocd.argoproj.io/instance=x," +
				"kueue.x-k8s.io/queue-name=x,pod-group.scheduling.sigs.k8s.io=x,pod-group.scheduling.sigs.k8s.io/name=x,my.helm.sh/x=x",
			NamespaceState{}, LabelOptions{}, "app=api,my.helm.sh/x=x", []Dropped{
				{[]string{"batch.kubernetes.io/job-name", "job-name", "pod-template-hash"}, controllers},
				{[]string{"argocd.argoproj.io/instance", "helm.sh/chart"}, gitOps},
				{[]string{"kueue.x-k8s.io/queue-name", "pod-group.scheduling.sigs.k8s.io",
					"pod-group.scheduling.sigs.k8s.io/name"}, queue},
			},
		},
		{
			"marks with --keep-labels", "app=api,controller-uid=1",
			around("Service/api: app=api,controller-uid=1"), LabelOptions{Keep: true}, "app=api",
			[]Dropped{{[]string{"controller-uid"}, controllers}},
		},
		{
			"a queue that the user chose", "kueue.x-k8s.io/queue-name=prod", NamespaceState{},
			LabelOptions{Set: set("kueue.x-k8s.io/queue-name=dev")},
			"kueue.x-k8s.io/queue-name=dev", nil,
		},

		// Eshell's own.
		{
			"another value of eshell's own", "managed-by=Helm,app=api", NamespaceState{}, LabelOptions{},
			"app=api",
			[]Dropped{{[]string{"managed-by"}, "eshell sets its own value"}},
		},
		{"the same value", "managed-by=kubectl-eshell,app=api", NamespaceState{}, LabelOptions{}, "app=api",
			nil},
		{"another value, kept", "session=other", NamespaceState{}, LabelOptions{Keep: true}, "",
			[]Dropped{{[]string{"session"}, "eshell sets its own value"}}},
		{"own labels judged with the rest", "app=api", around("Service/x: app=api,managed-by=kubectl-eshell"),
			LabelOptions{}, "",
			[]Dropped{{[]string{"app"}, "service/x selects by it"}}},

		// The user's.
		{"set", "app=api", around("Service/api: app=api"), LabelOptions{Set: set("app=mine,x=y")},
			"app=mine,x=y", nil},
		{"a set key is never given up", "app=api,tier=web", around("Service/api: app=api,tier=web"),
			LabelOptions{Set: set("app=api")}, "app=api",
			[]Dropped{{[]string{"tier"}, "service/api selects by it"}}},
		{"dropped", "app=api,a=1,b=1", around("Service/api: app=api"),
			LabelOptions{Drop: []string{"b", "app", "b"}}, "a=1",
			[]Dropped{{[]string{"app", "b"}, "--drop-labels names them"}}},
		{"dropped without being there", "app=api", NamespaceState{}, LabelOptions{Drop: []string{"ap"}},
			"app=api",
			[]Dropped{{[]string{"ap"}, "the original does not have it"}}},
		{"a mark that is dropped anyway", "pod-template-hash=1", NamespaceState{},
			LabelOptions{Drop: []string{"pod-template-hash"}}, "",
			[]Dropped{{[]string{"pod-template-hash"}, controllers}}},

		// What cannot be judged.
		{"unknown", "app=api,tier=web,helm.sh/chart=x",
			NamespaceState{Unknown: errors.New("services is forbidden")},
			LabelOptions{Drop: []string{"tier"}}, "", []Dropped{
				{[]string{"helm.sh/chart"}, gitOps}, {[]string{"tier"}, "--drop-labels names it"},
				{[]string{"app"}, "services is forbidden"}}},
	}
	for _, tt := range tests {
		v, err := SelectLabels(set(tt.source), tt.around, tt.wish, set(own))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := set(own)
		for key, value := range set(tt.kept) {
			want[key] = value
		}
		equal(t, tt.name, "labels", v.Labels, want)
		equal(t, tt.name, "dropped", v.Dropped, tt.dropped)
	}
}

// Options that are refused, and labels that nothing makes harmless.
func TestJudgeErrors(t *testing.T) {
	const keep, debug = "--keep-labels accepts it", "--mode debug opens a shell in a running pod instead"
	unknown := NamespaceState{Unknown: errors.New("services is forbidden")}
	tests := []struct {
		name   string
		source string
		around NamespaceState
		wish   LabelOptions
		want   string
		hint   string
	}{
		{"set and dropped", "app=api", NamespaceState{},
			LabelOptions{Set: set("app=x"), Drop: []string{"app"}},
			"label app is both in --labels and in --drop-labels", ""},
		{"a controller's mark", "", NamespaceState{}, LabelOptions{Set: set("pod-template-hash=x")},
			"label pod-template-hash in --labels: controllers use it to find the pods that they made", ""},
		{"own, set", "", NamespaceState{}, LabelOptions{Set: set("managed-by=x")},
			"label managed-by is reserved: eshell finds its clones by it", ""},
		{"own, dropped", "", NamespaceState{}, LabelOptions{Drop: []string{"session"}},
			"label session is reserved: eshell finds its clones by it", ""},
		{"unknown, set", "", unknown, LabelOptions{Set: set("a=b")},
			"--labels cannot be judged: services is forbidden",
			"leave out --labels: the clone then has no label of the original"},
		{"unknown, kept", "", unknown, LabelOptions{Keep: true, Set: set("a=b")},
			"--keep-labels and --labels cannot be judged: services is forbidden",
			"leave out --keep-labels and --labels: the clone then has no label of the original"},
		{"unknown, and what is known selects it", "app=api",
			NamespaceState{Unknown: unknown.Unknown,
				Selectors: around("PodDisruptionBudget/all: ").Selectors}, LabelOptions{},
			"poddisruptionbudget/all selects every pod", debug},

		{"set to match", "app=api", around("Service/api: app=api"), LabelOptions{Set: set("app=api")},
			"label app=api makes service/api select the clone", keep},
		{"set to match, by two labels", "", around("Service/x: a=1,b=2", "Service/y: b=2,a=1"),
			LabelOptions{Set: set("a=1,b=2")},
			"labels a=1 and b=2 make service/x and service/y select the clone", keep},
		{"set to match, two causes", "", around("Service/x: a=1", "ReplicaSet/y: b"),
			LabelOptions{Set: set("a=1,b=2")},
			"label a=1 makes service/x select the clone; label b=2 makes replicaset/y select the clone",
			debug},
		{"eshell's own", "", around("PodDisruptionBudget/x: managed-by"), LabelOptions{},
			"label managed-by=kubectl-eshell makes poddisruptionbudget/x select the clone", keep},
		{"every pod", "app=api", around("PodDisruptionBudget/all: "), LabelOptions{},
			"poddisruptionbudget/all selects every pod", keep},
		{"every pod that lacks a label", "app=api",
			around("PodDisruptionBudget/a: !x,y notin (b, a)", "DaemonSet/d: !x,y notin (a, b)"),
			LabelOptions{},
			"poddisruptionbudget/a and daemonset/d select pods with no label x and y not in (a, b)", debug},
		{"every pod, and not ready", "app=api",
			around("PodDisruptionBudget/all: ", "Service/notready-db: app=api"), LabelOptions{},
			"poddisruptionbudget/all selects every pod", debug},
		{"dropped into a match", "x=1", around("PodDisruptionBudget/a: !x"),
			LabelOptions{Drop: []string{"x"}}, "poddisruptionbudget/a selects pods with no label x", keep},
		{"one or the other", "a=1", around("Service/a: a=1", "PodDisruptionBudget/b: !a"), LabelOptions{},
			"whichever labels are given up, service/a or poddisruptionbudget/b selects the clone", keep},

		{"kept, adopted", "app=api", around("Service/api: app=api", "ReplicaSet/api: app=api"),
			LabelOptions{Keep: true}, "replicaset/api would adopt the clone",
			"--drop-labels app gives up the label that it asks for"},
		{"kept, adopted by a kind that nobody knows", "app=api", around("CloneSet/api: app=api"),
			LabelOptions{Keep: true}, "cloneset/api would adopt the clone",
			"--drop-labels app gives up the label that it asks for"},
		{"kept, not ready", "a=1,b=1",
			around("Service/notready-x: a=1", "Service/notready-y: b=1", "Job/z: a"),
			LabelOptions{Keep: true},
			"service/x and service/y publish the addresses of pods that are not ready: the clone would get requests; job/z would adopt the clone",
			"--drop-labels a,b gives up the labels that it asks for"},
		{"kept, adopted, and selected by what is accepted", "a=1,b=1",
			around("Service/x: a=1", "ReplicaSet/y: b=1"), LabelOptions{Keep: true},
			"replicaset/y would adopt the clone", "--drop-labels b gives up the label that it asks for"},
		{"kept, adopted by what the user set", "", around("DaemonSet/x: a"),
			LabelOptions{Keep: true, Set: set("a=1")}, "daemonset/x would adopt the clone", debug},
	}
	for _, tt := range tests {
		v, err := SelectLabels(set(tt.source), tt.around, tt.wish, set(own))
		if err == nil {
			t.Errorf("%s: no error, labels %v", tt.name, v.Labels)
			continue
		}
		equal(t, tt.name, "error", err.Error(), tt.want)
		equal(t, tt.name, "hint", hint.Of(err), tt.hint)
	}
	if _, err := SelectLabels(nil, unknown, LabelOptions{Keep: true}, nil); !errors.Is(err, unknown.Unknown) {
		t.Error("the reason why nothing can be judged is not in the error's chain")
	}
}

// With --keep-labels the result says what selects the clone.
func TestKeep(t *testing.T) {
	tests := []struct {
		name    string
		around  NamespaceState
		wish    LabelOptions
		matches []string
	}{
		{"nothing", around("Service/other: app=other"), LabelOptions{}, nil},
		{"what does not adopt",
			around("Service/api: app=api", "PodDisruptionBudget/all: ", "Deployment/api: app=api",
				"StatefulSet/api: app=api", "Job/x: app=x"), LabelOptions{},
			[]string{"service/api", "poddisruptionbudget/all", "deployment/api", "statefulset/api"}},
		{"what the user set", around("Service/x: x=y"), LabelOptions{Set: set("x=y")}, []string{"service/x"}},
		{"what the user dropped", around("Service/notready-api: app=api"),
			LabelOptions{Drop: []string{"app"}}, nil},
	}
	for _, tt := range tests {
		tt.wish.Keep = true
		v, err := SelectLabels(set("app=api"), tt.around, tt.wish, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		equal(t, tt.name, "matches", names(v.Matches), tt.matches)
	}
}
