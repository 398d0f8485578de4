package workload

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

func service(name string, selector map[string]string) *corev1.Service {
	return &corev1.Service{ObjectMeta: objectMeta(name), Spec: corev1.ServiceSpec{Selector: selector}}
}

func budget(name string, selector *metav1.LabelSelector) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: objectMeta(name),
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector}}
}

// replicaSet is of the Deployment api, or a bare one where hash is empty.
func replicaSet(name, hash string) *appsv1.ReplicaSet {
	r := &appsv1.ReplicaSet{ObjectMeta: objectMeta(name),
		Spec: appsv1.ReplicaSetSpec{Selector: selector(), Template: template()}}
	if hash == "" {
		return r
	}
	r.OwnerReferences = []metav1.OwnerReference{controller("apps/v1", "Deployment", "api")}
	for _, labels := range []*map[string]string{&r.Labels, &r.Spec.Selector.MatchLabels,
		&r.Spec.Template.Labels} {
		*labels = map[string]string{"app": "api", "pod-template-hash": hash}
	}
	return r
}

func controller(apiVersion, kind, name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: objectMeta(name).UID,
		Controller: new(true)}
}

func ownedBy(apiVersion, kind, name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{controller(apiVersion, kind,
			name)}
	}
}

func manual(j *batchv1.Job) *batchv1.Job {
	j.Spec.ManualSelector = new(true)
	return j
}

func badBudget() *policyv1.PodDisruptionBudget {
	return budget("bad",
		&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app",
			Operator: "Like"}}})
}

// marked has the label of a Deployment's ReplicaSet, as a copy of one has.
func marked(rs *appsv1.ReplicaSet) *appsv1.ReplicaSet {
	rs.Labels = map[string]string{"pod-template-hash": "1"}
	return rs
}

// apart keeps its pods on different nodes.
func apart(d *appsv1.Deployment) *appsv1.Deployment {
	d.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: selector(),
			TopologyKey: "kubernetes.io/hostname"}},
	}}
	return d
}

func TestSurroundings(t *testing.T) {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: objectMeta("deny")}
	far := service("far", map[string]string{"app": "api"})
	far.Namespace = "other"
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    string // the selectors, policies and what is unknown
	}{
		{"nothing", []runtime.Object{pod("api")}, query("Pod"), ""},
		{"the source", []runtime.Object{deployment()}, query("Deployment"), "deployment/api app=api"},
		{"every kind", []runtime.Object{
			pod("api"), service("api", map[string]string{"app": "api"}), service("headless", nil), far,
			budget("api", selector()), policy,
			deployment(), replicaSet("api-1", "1"), replicaSet("bare", ""), job("auto"),
			manual(job("manual")),
			&appsv1.StatefulSet{ObjectMeta: objectMeta("db"),
				Spec: appsv1.StatefulSetSpec{Selector: selector()}},
			&appsv1.DaemonSet{ObjectMeta: objectMeta("log"),
				Spec: appsv1.DaemonSetSpec{Selector: selector()}},
			&corev1.ReplicationController{ObjectMeta: objectMeta("old"),
				Spec: corev1.ReplicationControllerSpec{Selector: map[string]string{"app": "old"}}},
		}, query("Pod"), "service/api app=api, poddisruptionbudget/api app=api, deployment/api app=api, statefulset/db app=api, daemonset/log app=api, " +
			"replicationcontroller/old app=old, replicaset/bare app=api, job/manual batch.kubernetes.io/job-name=manual, policy deny"},
		{"a replica set that requires a hash", []runtime.Object{replicaSet("api", "1")}, query("ReplicaSet"),
			""},
		{"a replica set with a hash that it does not require",
			[]runtime.Object{pod("api"), marked(replicaSet("bare", ""))}, query("Pod"),
			"replicaset/bare app=api"},
		{"a placement", []runtime.Object{apart(deployment())}, query("Deployment"),
			"the placement of deployment/api app=api, deployment/api app=api"},
		{"a job's own selector", []runtime.Object{job("api")}, query("Job"), ""},
		{"a selector of the future", []runtime.Object{pod("api"), badBudget()}, query("Pod"),
			`unknown: poddisruptionbudgets.policy cannot be listed: selector of poddisruptionbudget/bad: "Like" is not a valid label selector operator`},

		// The controller of a pod.
		{"a replica set's pod", []runtime.Object{pod("api", ownedBy("apps/v1", "ReplicaSet", "api-1"))},
			query("Pod"), ""},
		{"a static pod", []runtime.Object{pod("api", ownedBy("v1", "Node", "a"))}, query("Pod"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if words := around(got); words != tt.want {
				t.Errorf("got  %s\nwant %s", words, tt.want)
			}
		})
	}
}

// around is the state of a workload's namespace in words.
func around(t *Workload) string {
	var words []string
	for _, s := range t.NamespaceState.Selectors {
		words = append(words, s.String()+" "+s.Match.String())
	}
	for _, p := range t.NamespaceState.Policies {
		words = append(words, "policy "+p.Name)
	}
	if t.NamespaceState.Unknown != nil {
		words = append(words, "unknown: "+t.NamespaceState.Unknown.Error())
	}
	return strings.Join(words, ", ")
}

// What is forbidden is named, and does not hide the rest.
func TestSurroundingsForbidden(t *testing.T) {
	tests := []struct {
		resources []string
		want      string
	}{
		{[]string{"services"},
			"deployment/api app=api, unknown: services cannot be listed: services is forbidden: not you"},
		{[]string{"deployments"},
			"service/api app=api, deployment/api app=api, unknown: deployments.apps cannot be listed: deployments.apps is forbidden: not you"},
		{[]string{"services", "jobs", "replicasets"},
			"deployment/api app=api, unknown: services, replicasets.apps, jobs.batch cannot be listed: services is forbidden: not you"},
	}
	for _, tt := range tests {
		client := cluster(t, everything, deployment(), service("api", map[string]string{"app": "api"}))
		for _, resource := range tt.resources {
			client.PrependReactor("list", resource,
				func(action clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "",
						fmt.Errorf("not you"))
				})
		}
		got, err := Resolve(t.Context(), Cluster{Client: client}, query("Deployment"))
		if err != nil {
			t.Fatal(err)
		}
		if words := around(got); words != tt.want || !apierrors.IsForbidden(got.NamespaceState.Unknown) {
			t.Errorf("without %s\ngot  %s\nwant %s", tt.resources, words, tt.want)
		}
	}
}

// What is asked of the server, and that a live pod needs nothing of its namespace.
func TestRequests(t *testing.T) {
	const lists = "list daemonsets, list deployments, list jobs, list networkpolicies, list poddisruptionbudgets, " +
		"list replicasets, list replicationcontrollers, list services, list statefulsets"
	withClaim := deployment(mounting("data"))
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    string
	}{
		{"a clone", []runtime.Object{deployment()}, query("Deployment"), "get deployments, " + lists},
		{"a live pod", []runtime.Object{pod("api")}, query("Pod", live), "get pods"},
		{"a workload's live pod", []runtime.Object{deployment(), pod("api-1")}, query("Deployment", live),
			"get deployments, list pods app=api"},
		{"claims and images share their pods", []runtime.Object{withClaim, claim("data"), pod("api-1")},
			query("Deployment", pinned),
			"get deployments, get persistentvolumeclaims, " + strings.Replace(lists, "list poddis",
				"list pods app=api, list poddis", 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(t, everything, tt.cluster...)
			if _, err := Resolve(t.Context(), Cluster{Client: client}, tt.query); err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, action := range client.Actions() {
				if strings.HasPrefix(action.GetResource().Resource, "selfsubject") {
					continue
				}
				words = append(words, requested(action))
			}
			slices.Sort(words)
			if got := strings.Join(words, ", "); !sameWords(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func sameWords(a, b string) bool {
	x, y := strings.Split(a, ", "), strings.Split(b, ", ")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func requested(action clienttesting.Action) string {
	words := action.GetVerb() + " " + action.GetResource().Resource
	if list, ok := action.(clienttesting.ListAction); ok && !list.GetListRestrictions().Labels.Empty() {
		words += " " + list.GetListRestrictions().Labels.String()
	}
	return words
}

var cloneSets = schema.GroupVersionKind{Group: "apps.kruise.io", Version: "v1alpha1", Kind: "CloneSet"}

// The custom controller of a pod is fetched for what it selects.
func TestOwner(t *testing.T) {
	ofCloneSet := pod("api", ownedBy("apps.kruise.io/v1alpha1", "CloneSet", "web"))
	const unknown = "unknown: the pod's controller CloneSet web may adopt by labels that are not known: "
	tests := []struct {
		name  string
		owner map[string]any // its spec; nil: it is not there
		want  string
	}{
		{"a selector", map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"app": "web"}}}, "cloneset/web app=web"},
		{"no selector", map[string]any{}, unknown + "it has no selector"},
		{"gone", nil, unknown + `clonesets.apps.kruise.io "web" not found`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var objects []runtime.Object
			if tt.owner != nil {
				objects = append(objects, object(cloneSets, "web", tt.owner))
			}
			got, err := Resolve(t.Context(), customCluster(t, cluster(t, everything, ofCloneSet), objects...),
				query("Pod"))
			if err != nil {
				t.Fatal(err)
			}
			if words := around(got); words != tt.want {
				t.Errorf("got  %s\nwant %s", words, tt.want)
			}
		})
	}
}
