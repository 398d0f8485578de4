package workload

import (
	"encoding/json"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func revision(n int64) func(*Query) { return func(q *Query) { q.Revision = n } }

func image(name string) func(*corev1.PodTemplateSpec) {
	return func(t *corev1.PodTemplateSpec) { t.Spec.Containers[0].Image = name }
}

// replicaSetOf is a Deployment's at a revision, with an image of its own.
func replicaSetOf(owner, number, imageName string) *appsv1.ReplicaSet {
	r := replicaSet(owner+"-"+number, number)
	r.Annotations = map[string]string{revisionAnnotation: number}
	r.OwnerReferences = []metav1.OwnerReference{controller("apps/v1", "Deployment", owner)}
	image(imageName)(&r.Spec.Template)
	return r
}

// controllerRevision is as its controller writes it.
func controllerRevision(t *testing.T, kind, owner string, number int64,
	imageName string) *appsv1.ControllerRevision {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template(image(imageName))}})
	if err != nil {
		t.Fatal(err)
	}
	r := &appsv1.ControllerRevision{ObjectMeta: objectMeta(owner + "-" + imageName), Revision: number,
		Data: runtime.RawExtension{Raw: patch}}
	r.Labels = map[string]string{"app": "api"}
	r.OwnerReferences = []metav1.OwnerReference{controller("apps/v1", kind, owner)}
	return r
}

func TestRevision(t *testing.T) {
	daemonSet := &appsv1.DaemonSet{ObjectMeta: objectMeta("api"),
		Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: template()}}
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
	}{
		{"of a deployment", []runtime.Object{deployment(), replicaSetOf("api", "2", "api:0"),
			replicaSetOf("api", "3", "api:2"), replicaSetOf("web", "2", "web:1")},
			query("Deployment", revision(2))},
		{"of a stateful set",
			[]runtime.Object{statefulSet(), controllerRevision(t, "StatefulSet", "api", 2, "api:0"),
				controllerRevision(t, "StatefulSet", "web", 2, "web:1"),
				controllerRevision(t, "StatefulSet", "api", 3, "api:2")}, query("StatefulSet", revision(2))},
		{"of a daemon set", []runtime.Object{daemonSet,
			controllerRevision(t, "DaemonSet", "api", 2, "api:0")}, query("DaemonSet", revision(2))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if want := template(image("api:0")); !equality.Semantic.DeepEqual(got.Template, want) {
				t.Errorf("got  %+v\nwant %+v", got.Template, want)
			}
		})
	}
}

func TestRevisionFails(t *testing.T) {
	tests := []struct {
		name      string
		cluster   []runtime.Object
		query     Query
		err, hint string
	}{
		{"not there", []runtime.Object{deployment(), replicaSetOf("api", "3", "a"),
			replicaSetOf("api", "11", "b"), replicaSetOf("web", "2", "c")},
			query("Deployment", revision(2)), "deployment/api in namespace shop: it has no revision 2",
			"revisions: 3, 11"},
		{"another kind", []runtime.Object{job("api")}, query("Job", revision(2)),
			"job/api in namespace shop: its kind has no revisions",
			"kinds with revisions: deployments, statefulsets, daemonsets"},
		{"a live pod", nil, query("Deployment", revision(2), live),
			"a revision is of the pod template, not of a running pod", "leave out --mode debug for a clone"},
		{"running images", nil, query("Deployment", revision(2), pinned),
			"revision 2 was asked for, and the images that run now", ""},
		{"a manifest", nil, query("Deployment", revision(2), manifest("{}")), "a manifest has no revisions",
			""},
	}
	for _, tt := range tests {
		_, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
		if err == nil || err.Error() != tt.err || hint.Of(err) != tt.hint {
			t.Errorf("%s: error: %v\nhint: %s\nwant error: %s\nhint: %s", tt.name, err, hint.Of(err), tt.err,
				tt.hint)
		}
	}
}
