package workload

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func renamed(d *appsv1.Deployment, name string) *appsv1.Deployment {
	d.ObjectMeta = objectMeta(name)
	return d
}

func TestService(t *testing.T) {
	api := service("api", map[string]string{"app": "api"})
	web := renamed(deployment(func(t *corev1.PodTemplateSpec) { t.Labels = map[string]string{"app": "web"} }),
		"web")
	ofRollout := replicaSet("rollout-1", "")
	ofRollout.OwnerReferences = append(ofRollout.OwnerReferences,
		controller("argoproj.io/v1alpha1", "Rollout", "rollout"))
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    string // the workload, and its live pod
	}{
		{"the workload behind it", []runtime.Object{api, renamed(deployment(), "shop"), web, pod("a")},
			query("Service"), "deployment/shop"},
		{"a bare replica set", []runtime.Object{api, replicaSet("bare", "")}, query("Service"),
			"replicaset/bare"},
		{"its replica sets do not count", []runtime.Object{api, deployment(), replicaSet("api-1", "1")},
			query("Service"), "deployment/api"},
		{"a job", []runtime.Object{api, job("seed"), pod("a")}, query("Service"), "job/seed"},
		{"a job beside another workload", []runtime.Object{api, deployment(), manual(job("seed"))}, query("Service"),
			"deployment/api"},
		{"a replica set with a controller", []runtime.Object{api, ofRollout, pod("a")}, query("Service"),
			"pod/a"},
		{"only pods", []runtime.Object{api, web, pod("old"), pod("new", born(1)),
			pod("newer", born(2), unready)}, query("Service"), "pod/new"},
		{"a live pod", []runtime.Object{api, deployment(), pod("old"), pod("new", born(1))},
			query("Service", live), "service/api joins new, the newest of 2 ready pods"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			words := got.String()
			if got.Pod != nil {
				words += " joins " + got.Pod.Name + ", " + got.Selected
			}
			if words != tt.want {
				t.Errorf("got %s, want %s", words, tt.want)
			}
		})
	}
}

func TestServiceFails(t *testing.T) {
	const workloads = "name a workload; list what there is: kubectl get deployments,statefulsets,daemonsets -n shop"
	api := service("api", map[string]string{"app": "api"})
	tests := []struct {
		name      string
		cluster   []runtime.Object
		query     Query
		err, hint string
	}{
		{"not there", nil, query("Service"), `service/api in namespace shop: services "api" not found`,
			"list what there is: kubectl get services -n shop"},
		{"no selector", []runtime.Object{service("api", nil)}, query("Service"),
			"service/api in namespace shop: it has no selector, so there is no workload behind it",
			workloads},
		{"no selector, live", []runtime.Object{service("api", nil)}, query("Service", live),
			"service/api in namespace shop: it has no selector, so there is no workload behind it",
			workloads},
		{"several workloads",
			[]runtime.Object{api, deployment(), renamed(deployment(), "canary"), statefulSet()},
			query("Service"),
			"service/api in namespace shop: it selects the pods of deployment/api, deployment/canary, statefulset/api",
			"name one: kubectl eshell deployment/api -n shop"},
		{"nothing", []runtime.Object{api, pod("a", unready)}, query("Service"),
			"service/api in namespace shop: no workload is behind it, and none of its 1 pods is ready",
			"list what it selects: kubectl get pods -n shop -l app=api"},
		{"no live pod", []runtime.Object{api, deployment()}, query("Service", live),
			"service/api in namespace shop: it has no pod",
			"leave out --mode debug for a clone, or name a pod: kubectl get pods -n shop -l app=api"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}
