package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

var jobResource = schema.GroupResource{Group: "batch", Resource: "jobs"}

// shop is a cluster with one deployment, api, whose user may do everything.
func shop() *fake.Clientset {
	labels := map[string]string{"app": "api"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1"}}}
	client := fake.NewClientset(
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
			},
		})
	client.PrependReactor("create", "selfsubjectaccessreviews",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authorizationv1.SelfSubjectAccessReview{
				Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}}, nil
		})
	client.PrependReactor("create", "selfsubjectreviews",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authenticationv1.SelfSubjectReview{
				Status: authenticationv1.SelfSubjectReviewStatus{
					UserInfo: authenticationv1.UserInfo{Username: "ada"}}}, nil
		})
	return client
}

// told is a Reporter that remembers what it says.
type told struct {
	session.Reporter
	strings.Builder
}

func (t *told) Say(format string, args ...any)  { fmt.Fprintf(t, format+"\n", args...) }
func (t *told) Warn(format string, args ...any) { fmt.Fprintf(t, "warning: "+format+"\n", args...) }

// request asks for a clone of deployment api.
func request(client *fake.Clientset) (Request, *told) {
	told := &told{}
	return Request{
		Cluster: workload.Cluster{Client: client},
		Query: workload.Query{Reference: workload.Reference{Kind: "Deployment", Name: "api"},
			Namespace: "shop"},
		Mode: plan.ModeClone, Plan: plan.Options{HeartbeatTimeout: 2 * time.Minute, TTL: 8 * time.Hour},
		Session: session.Config{Client: client, Reporter: told},
	}, told
}

// found is the workload that was asked for; a test states what is different.
func found(change ...func(*workload.Workload)) *workload.Workload {
	w := &workload.Workload{Kind: "Deployment", Name: "api", Namespace: "shop", Container: "app",
		Access: workload.Access{PatchJobs: true, User: "ada"}}
	for _, c := range change {
		c(w)
	}
	return w
}

func withoutPatch(t *workload.Workload) { t.Access.PatchJobs = false }

func elsewhere(t *workload.Workload) { t.Namespace = "other" }

// leases are the Jobs in the cluster.
func leases(t *testing.T, client *fake.Clientset) []batchv1.Job {
	t.Helper()
	list, err := client.BatchV1().Jobs("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func refuseJobs(client *fake.Clientset, verb, namespace string) {
	client.PrependReactor(verb, "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		return action.GetNamespace() == namespace, nil,
			apierrors.NewForbidden(jobResource, "x", errors.New("no"))
	})
}

// The lease that a session gets is the one that was asked for with the workload, unless that will not do.
func TestResolveLease(t *testing.T) {
	tests := []struct {
		name     string
		refused  string // the namespace where no Job may be created
		target   []func(*workload.Workload)
		same     bool
		in       string // the namespace of the lease; empty: there is none
		deadline int64
	}{
		{"as it was asked for", "", nil, true, "shop", 121},
		{"in another namespace", "", []func(*workload.Workload){elsewhere}, false, "other", 121},
		{"that may not be renewed", "", []func(*workload.Workload){withoutPatch}, false, "shop", 28801},
		{"forbidden", "shop", nil, true, "", 0},
		{"forbidden, and not to be renewed", "shop", []func(*workload.Workload){withoutPatch}, true, "", 0},
		{"forbidden, but not where the workload is", "shop", []func(*workload.Workload){elsewhere}, false,
			"other", 121},
		{"forbidden where the workload is", "other", []func(*workload.Workload){elsewhere}, false, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := shop()
			refuseJobs(client, "create", tt.refused)
			r, told := request(client)
			first := r.takeLease(t.Context(), r.terms("shop"))
			got := r.resolveLease(t.Context(), found(tt.target...), first)
			if (got == first) != tt.same || (got.lease == nil) != (tt.in == "") ||
				(got.err == nil) != (tt.in != "") {
				t.Errorf("the first one: %t, lease %v, error %v", got == first, got.lease, got.err)
			}
			left := leases(t, client)
			if tt.in == "" && len(left) == 0 {
				return
			}
			if len(left) != 1 || left[0].Namespace != tt.in ||
				*left[0].Spec.ActiveDeadlineSeconds != tt.deadline ||
				left[0].Name != owned.LeaseName(got.terms.Session) {
				t.Errorf("leases %+v; want one for session %s in %s with a deadline of %d", left,
					got.terms.Session, tt.in, tt.deadline)
			}
			if told.String() != "" {
				t.Errorf("told %q", told.String())
			}
		})
	}
}

// memory is what is known of the caller.
type memory struct{ name string }

func (m *memory) Known(context.Context) string            { return m.name }
func (m *memory) Remember(_ context.Context, name string) { m.name = name }

// TestUser: a lease states its user from its creation on. The name that was known is a guess.
func TestUser(t *testing.T) {
	for _, tt := range []struct {
		known string
		asked int // before the first lease
		same  bool
	}{{"", 1, true}, {"ada", 0, true}, {"eve", 0, false}} {
		client, known := shop(), &memory{tt.known}
		r, _ := request(client)
		r.Users = known
		first := r.takeLease(t.Context(), r.terms("shop"))
		<-first.ready
		asked := 0
		for _, action := range client.Actions() {
			if action.GetResource().Resource == "selfsubjectreviews" {
				asked++
			}
		}
		got := r.resolveLease(t.Context(), found(), first)
		left := leases(t, client)
		if asked != tt.asked || (got == first) != tt.same || known.name != "ada" || len(left) != 1 ||
			left[0].Annotations[owned.UserAnnotation] != "ada" {
			t.Errorf("known %q: asked %d times, kept %t, then known %q, leases %+v", tt.known, asked, got == first,
				known.name, left)
		}
	}
}

// A lease says from the start what is known by then; one that will not be renewed says all.
func TestWhatALeaseSays(t *testing.T) {
	for _, kept := range []string{"", owned.Fixed, owned.Detached} {
		client, fixed := shop(), kept != ""
		r, _ := request(client)
		r.Plan.Detach, r.Plan.Reason = kept == owned.Detached, "incident 12"
		w := found(func(w *workload.Workload) { w.Access.PatchJobs = !fixed })
		got := r.resolveLease(t.Context(), w, r.takeLease(t.Context(), r.terms("shop")))
		want := map[string]string{owned.TTLAnnotation: "28800", owned.ReasonAnnotation: "incident 12",
			owned.ModeAnnotation: "clone", owned.UserAnnotation: "ada"}
		if fixed {
			maps.Copy(want, map[string]string{
				owned.SourceKindAnnotation: "Deployment",
				owned.SourceNameAnnotation: "api",
				owned.PodAnnotation:        owned.PodName("api", got.terms.Session),
				owned.ContainerAnnotation:  "app",
				owned.KeptAnnotation:       kept,
			})
		}
		if said := leases(t, client)[0].Annotations; !maps.Equal(said, want) {
			t.Errorf("kept %q: %v, want %v", kept, said, want)
		}
	}
}

// Nothing is left of a session that did not come to be.
func TestGivenUp(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Request, context.CancelCauseFunc)
		want   string
	}{
		{"no such workload", func(r *Request, _ context.CancelCauseFunc) { r.Query.Reference.Name = "web" },
			`deployments.apps "web" not found`},
		{"a plan that is refused", func(r *Request, _ context.CancelCauseFunc) {
			r.Plan.Overrides = plan.Overrides{Patch: `{"metadata":{"name":"x"}}`, Type: "merge"}
		}, "--overrides: metadata.name and metadata.namespace cannot be overridden"},
		{"interrupted on the way", func(r *Request, interrupt context.CancelCauseFunc) {
			r.Cluster.Client.(*fake.Clientset).PrependReactor("get", "deployments",
				func(clienttesting.Action) (bool, runtime.Object, error) {
					interrupt(errors.New("a signal"))
					return false, nil, nil
				})
		}, "a signal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := shop()
			r, _ := request(client)
			ctx, interrupt := context.WithCancelCause(t.Context())
			defer interrupt(nil)
			tt.change(&r, interrupt)
			if _, err := Session(ctx, r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if left := leases(t, client); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			for _, action := range client.Actions() {
				if action.Matches("create", "pods") {
					t.Error("a pod was created")
				}
			}
		})
	}
}

func TestGiveUpThatFails(t *testing.T) {
	client := shop()
	refuseJobs(client, "delete", "shop")
	refuseJobs(client, "patch", "shop")
	r, told := request(client)
	r.giveUp(t.Context(), r.takeLease(t.Context(), r.terms("shop")))
	if want := "warning: a lease could not be released; it ends by itself within "; !strings.HasPrefix(
		told.String(), want) {
		t.Errorf("told %q, want %q", told.String(), want)
	}
}
