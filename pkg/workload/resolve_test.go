package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
)

// query asks for the api of a kind.
func query(kind string, changes ...func(*Query)) Query {
	q := Query{Reference: Reference{Kind: kind, Name: "api"}, Namespace: "shop"}
	for _, change := range changes {
		change(&q)
	}
	return q
}

func live(q *Query) { q.Live = true }

func container(name string) func(*Query) { return func(q *Query) { q.Container = name } }

// found is what is found of a deployment when everything is allowed.
func found(changes ...func(*Workload)) *Workload {
	t := &Workload{Kind: "Deployment", Name: "api", Namespace: "shop", Template: template(), Container: "app",
		Access: Access{DeletePods: true, WatchPods: true, ExecPods: true, AttachPods: true, PatchJobs: true}}
	for _, change := range changes {
		change(t)
	}
	return t
}

func ofKind(kind string) func(*Workload) { return func(t *Workload) { t.Kind = kind } }

// joined is what a live pod makes of a workload.
func joined(p *corev1.Pod, why string) func(*Workload) {
	return func(t *Workload) {
		t.Pod, t.Selected, t.Template = p, why, corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
	}
}

func TestResolve(t *testing.T) {
	claims := []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	replicaSet := &appsv1.ReplicaSet{ObjectMeta: objectMeta("api"),
		Spec: appsv1.ReplicaSetSpec{Selector: selector(), Template: template()}}
	statefulSet := &appsv1.StatefulSet{ObjectMeta: objectMeta("api"),
		Spec: appsv1.StatefulSetSpec{Selector: selector(), Template: template(),
			VolumeClaimTemplates: claims}}
	daemonSet := &appsv1.DaemonSet{ObjectMeta: objectMeta("api"),
		Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: template()}}
	controllerTemplate := template()
	controller := &corev1.ReplicationController{ObjectMeta: objectMeta("api"),
		Spec: corev1.ReplicationControllerSpec{Selector: map[string]string{"app": "api"},
			Template: &controllerTemplate}}

	withClaims := func(t *Workload) { t.ClaimTemplates = claims }
	chosen := func(name string) func(*Workload) { return func(t *Workload) { t.Container = name } }
	of := func(changes ...func(*corev1.PodTemplateSpec)) func(*Workload) {
		return func(t *Workload) { t.Template = template(changes...) }
	}

	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    *Workload
	}{
		// Each kind: its template, whatever its pods are. A pod is its own template.
		{"a pod", []runtime.Object{pod("api", unready)}, query("Pod"),
			found(ofKind("Pod"), joined(pod("api", unready), ""), func(t *Workload) { t.Pod = nil })},
		{"a deployment", []runtime.Object{deployment(), pod("api-1")}, query("Deployment"), found()},
		{"a replica set", []runtime.Object{replicaSet}, query("ReplicaSet"), found(ofKind("ReplicaSet"))},
		{"a stateful set", []runtime.Object{statefulSet}, query("StatefulSet"),
			found(ofKind("StatefulSet"), withClaims)},
		{"a daemon set", []runtime.Object{daemonSet}, query("DaemonSet"), found(ofKind("DaemonSet"))},
		{"a job", []runtime.Object{job("api")}, query("Job"), found(ofKind("Job"))},
		{"a cron job", []runtime.Object{cronJob("api-1"), job("api-1", byDefault("proxy"))}, query("CronJob"),
			found(ofKind("CronJob"))},
		{"a replication controller", []runtime.Object{controller}, query("ReplicationController"),
			found(ofKind("ReplicationController"))},

		// The container.
		{"the default container", []runtime.Object{deployment(byDefault("proxy"))}, query("Deployment"),
			found(of(byDefault("proxy")), chosen("proxy"))},
		{"a default that is not there", []runtime.Object{deployment(byDefault("web"))}, query("Deployment"),
			found(of(byDefault("web")))},
		{"a named container", []runtime.Object{deployment()}, query("Deployment", container("proxy")),
			found(chosen("proxy"))},
		{"a named container before the default", []runtime.Object{deployment(byDefault("proxy"))},
			query("Deployment", container("app")), found(of(byDefault("proxy")))},

		// A live pod: its own spec, whatever the template says by now.
		{"a live pod by name", []runtime.Object{pod("api", pending)}, query("Pod", live),
			found(ofKind("Pod"), joined(pod("api", pending), ""))},
		{"the live pod of a deployment", []runtime.Object{deployment(byDefault("proxy")), pod("api-1")},
			query("Deployment", live), found(joined(pod("api-1"), "the newest of 1 ready pod"))},
		{"of a replica set", []runtime.Object{replicaSet, pod("api-1")}, query("ReplicaSet", live),
			found(ofKind("ReplicaSet"), joined(pod("api-1"), "the newest of 1 ready pod"))},
		{"of a stateful set", []runtime.Object{statefulSet, pod("api-1")}, query("StatefulSet", live),
			found(ofKind("StatefulSet"), withClaims, joined(pod("api-1"), "the newest of 1 ready pod"))},
		{"of a daemon set", []runtime.Object{daemonSet, pod("api-1")}, query("DaemonSet", live),
			found(ofKind("DaemonSet"), joined(pod("api-1"), "the newest of 1 ready pod"))},
		{"of a replication controller", []runtime.Object{controller, pod("api-1")},
			query("ReplicationController", live),
			found(ofKind("ReplicationController"), joined(pod("api-1"), "the newest of 1 ready pod"))},
		{"of a job", []runtime.Object{job("api"), pod("api-1"),
			pod("api-2", labelled("batch.kubernetes.io/job-name", "api"))}, query("Job", live),
			found(ofKind("Job"), joined(pod("api-2", labelled("batch.kubernetes.io/job-name", "api")), "the newest of 1 ready pod"))},
		{"of a cron job, of any active job",
			[]runtime.Object{cronJob("api-1", "api-2"),
				pod("older", labelled("batch.kubernetes.io/job-name", "api-0"), born(3)),
				pod("old", labelled("batch.kubernetes.io/job-name", "api-1")),
				pod("new", labelled("batch.kubernetes.io/job-name", "api-2"), born(1))},
			query("CronJob", live),
			found(ofKind("CronJob"),
				joined(pod("new", labelled("batch.kubernetes.io/job-name", "api-2"), born(1)), "the newest of 2 ready pods"))},
		{"the newest ready one", []runtime.Object{deployment(),
			pod("a", born(1)), pod("b", born(3)), pod("c", born(2)),
			pod("too-young", born(4), unready), pod("younger", born(5), pending),
			pod("ending", born(6), deleting),
			pod("a-stranger", born(7), labelled("app", "web")), pod("far", born(8), elsewhere)},
			query("Deployment", live), found(joined(pod("b", born(3)), "the newest of 3 ready pods"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got.NamespaceState = isolation.NamespaceState{} // has tests of its own
			if !equality.Semantic.DeepEqual(got, tt.want) {
				t.Errorf("target differs (-want +got):\n%s", diff.Diff(tt.want, got))
			}
		})
	}
}

func TestResolveFails(t *testing.T) {
	const (
		noJobHint = "leave out --mode debug for a clone"
		noPodHint = "leave out --mode debug for a clone, or name a pod: kubectl get pods -n shop -l app=api"
	)
	bare := &corev1.ReplicationController{ObjectMeta: objectMeta("api")}
	badSelector := deployment()
	badSelector.Spec.Selector = &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}}
	empty := func(t *corev1.PodTemplateSpec) { t.Spec.Containers = nil }

	tests := []struct {
		name      string
		cluster   []runtime.Object
		query     Query
		err, hint string
	}{
		{"no such pod", nil, query("Pod"), `pod/api in namespace shop: pods "api" not found`,
			"list what there is: kubectl get pods -n shop; a name without a type is a pod's"},
		{"no such deployment", nil, query("Deployment"),
			`deployment/api in namespace shop: deployments.apps "api" not found`,
			"list what there is: kubectl get deployments -n shop"},
		{"in another namespace", []runtime.Object{pod("api", elsewhere)}, query("Pod"),
			`pod/api in namespace shop: pods "api" not found`,
			"list what there is: kubectl get pods -n shop; a name without a type is a pod's"},
		{"no such replication controller", nil, query("ReplicationController"),
			`replicationcontroller/api in namespace shop: replicationcontrollers "api" not found`,
			"list what there is: kubectl get replicationcontrollers -n shop"},
		{"a deployment without its type", []runtime.Object{deployment()}, query("Pod"),
			`pod/api in namespace shop: pods "api" not found`, "did you mean: kubectl eshell deploy/api -n shop"},
		{"several without their type", []runtime.Object{deployment(), statefulSet()}, query("Pod"),
			`pod/api in namespace shop: pods "api" not found`,
			"did you mean: kubectl eshell deploy/api -n shop; kubectl eshell sts/api -n shop"},
		{"a pod as a deployment", []runtime.Object{pod("api")}, query("Deployment"),
			`deployment/api in namespace shop: deployments.apps "api" not found`,
			"did you mean: kubectl eshell pod/api -n shop"},
		{"a misspelt name", []runtime.Object{renamed(deployment(), "apj"), renamed(deployment(), "web")},
			query("Deployment"), `deployment/api in namespace shop: deployments.apps "api" not found`,
			"did you mean: kubectl eshell deploy/apj -n shop"},
		{"a misspelt namespace", nil, query("Deployment", func(q *Query) { q.Namespace = "shpo" }),
			`deployment/api in namespace shpo: deployments.apps "api" not found`,
			"there is no namespace shpo; did you mean: kubectl eshell deployment/api -n shop"},
		{"no such namespace", nil, query("Deployment", func(q *Query) { q.Namespace = "else" }),
			`deployment/api in namespace else: deployments.apps "api" not found`,
			"there is no namespace else; list those there are: kubectl get namespaces"},
		{"a controller without a template", []runtime.Object{bare}, query("ReplicationController"),
			"replicationcontroller/api has no containers", ""},

		{"no such container", []runtime.Object{deployment()}, query("Deployment", container("web")),
			`deployment/api has no container "web"`, "containers: app, proxy"},
		{"no containers", []runtime.Object{deployment(empty)}, query("Deployment"),
			"deployment/api has no containers", ""},
		{"the container is not in the live pod",
			[]runtime.Object{deployment(),
				pod("api-1", func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] })},
			query("Deployment", live, container("proxy")), `deployment/api has no container "proxy"`,
			"containers: app"},

		{"no pods", []runtime.Object{deployment()}, query("Deployment", live),
			"deployment/api in namespace shop: it has no pod", noPodHint},
		{"no ready pods", []runtime.Object{deployment(), pod("a", unready), pod("b", pending),
			pod("c", deleting)}, query("Deployment", live),
			"deployment/api in namespace shop: none of its 3 pods is ready", noPodHint},
		{"no active job", []runtime.Object{cronJob(), pod("api-1")}, query("CronJob", live),
			"cronjob/api in namespace shop: it has no active job, so there is no pod to debug", noJobHint},
		{"the active job has gone", []runtime.Object{cronJob("api-1")}, query("CronJob", live),
			"cronjob/api in namespace shop: it has no pod",
			"leave out --mode debug for a clone, or name a pod: kubectl get pods -n shop -l 'batch.kubernetes.io/job-name in (api-1)'"},
		{"a selector of the future", []runtime.Object{badSelector}, query("Deployment", live),
			`deployment/api in namespace shop: its selector: "Like" is not a valid label selector operator`,
			""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err == nil || got != nil {
				t.Fatalf("got %+v, %v; want an error alone", got, err)
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}

// The server's own error stays in the chain: others ask what it was.
func TestResolveKeepsTheServersError(t *testing.T) {
	if _, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything)},
		query("Deployment")); !apierrors.IsNotFound(err) {
		t.Errorf("%v is not a NotFound", err)
	}
}

// roundTripper answers the requests to a cluster.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestResolveWaitsForItsQuestions checks that no question about access is in progress when Resolve returns,
// even if the search fails first and the answers come late.
func TestResolveWaitsForItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, answered atomic.Int32
		notFound := func(r *http.Request) (*http.Response, error) {
			late := 500 * time.Millisecond // all have been sent by then
			if strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
				late = time.Second
				asked.Add(1)
				defer answered.Add(1)
			}
			<-time.After(late)
			body, err := json.Marshal(apierrors.NewNotFound(appsv1.Resource("deployments"), "api").Status())
			return &http.Response{
				StatusCode: http.StatusNotFound,
				Header:     http.Header{"Content-Type": {"application/json"}},
				Body:       io.NopCloser(bytes.NewReader(body)),
				Request:    r,
			}, err
		}
		client, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: "https://cluster", QPS: -1},
			&http.Client{Transport: roundTripper(notFound)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Resolve(t.Context(), Cluster{Client: client},
			query("Deployment")); !apierrors.IsNotFound(err) {
			t.Errorf("%v is not a NotFound", err)
		}
		if asked.Load() != 5 || answered.Load() != 5 {
			t.Errorf("of 5 questions %d were asked and %d answered", asked.Load(), answered.Load())
		}
	})
}

// Who the caller is, is for the record: a server that does not say is no error.
func TestUser(t *testing.T) {
	for name, answer := range map[string]error{"ada": nil, "": errors.New("no answer")} {
		client := cluster(t, everything, deployment())
		client.PrependReactor("create", "selfsubjectreviews",
			func(clienttesting.Action) (bool, runtime.Object, error) {
				review := &authenticationv1.SelfSubjectReview{}
				review.Status.UserInfo.Username = name
				return true, review, answer
			})
		got, err := Resolve(t.Context(), Cluster{Client: client}, query("Deployment"))
		if err != nil || got.Access.User != name {
			t.Errorf("error %v, user %q; want %q", err, got.Access.User, name)
		}
	}
}

func TestAccess(t *testing.T) {
	only := func(allowed ...string) judge {
		return func(what string) (bool, error) { return slices.Contains(allowed, what), nil }
	}
	tests := []struct {
		name string
		may  judge
		want Access
	}{
		{"everything", everything,
			Access{DeletePods: true, WatchPods: true, ExecPods: true, AttachPods: true, PatchJobs: true}},
		{"nothing", nothing, Access{}},
		{"delete", only("delete pods"), Access{DeletePods: true}},
		{"watch", only("watch pods"), Access{WatchPods: true}},
		{"exec", only("create pods/exec"), Access{ExecPods: true}},
		{"attach", only("create pods/attach"), Access{AttachPods: true}},
		{"patch", only("patch jobs"), Access{PatchJobs: true}},
		{"no answer", noAnswer,
			Access{DeletePods: true, WatchPods: true, ExecPods: true, AttachPods: true, PatchJobs: true}},
		{"no answer to one", func(what string) (bool, error) {
			if what == "watch pods" {
				return noAnswer(what)
			}
			return nothing(what)
		}, Access{WatchPods: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, tt.may, deployment())},
				query("Deployment"))
			if err != nil {
				t.Fatal(err)
			}
			got.NamespaceState = isolation.NamespaceState{}
			if want := found(func(t *Workload) { t.Access = tt.want }); !equality.Semantic.DeepEqual(got,
				want) {
				t.Errorf("target differs (-want +got):\n%s", diff.Diff(want, got))
			}
		})
	}
}
