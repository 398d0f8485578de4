package workload

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// TestList: a request per type, of which the selector for pods depends on what is wanted. What cannot be
// listed does not keep the rest.
func TestList(t *testing.T) {
	answer := func() map[string]string {
		return map[string]string{
			"deployments":  tableText("Name,Ready,Age,Images", `"api","2/3","3d","api:1"`),
			"statefulsets": "403",
			"daemonsets":   tableText("Name,Desired,Ready,Age,Images"),
			"cronjobs":     tableText("Name,Schedule,Suspend,Age,Images", `"sum","@daily","False","1h","sum:1"`),
			"jobs":         tableText("Name,Completions,Age,Images"),
			"pods":         tableText("Name,Status,Ready,Age", `"single","Running","1/1","9m"`),
		}
	}
	for _, tt := range []struct {
		name       string
		live, pods bool
		selector   string // of pods; empty: they are not listed
		want       []string
	}{
		{"clone", false, true, unowned(), []string{"deploy/api", "cronjob/sum", "pod/single"}},
		{"debug", true, true, notOurs, []string{"deploy/api", "cronjob/sum", "pod/single"}},
		{"pod selection", true, false, "", []string{"deploy/api", "cronjob/sum"}},
	} {
		server := &tables{answer: answer()}
		all, unread := Cluster{Tables: server.client(t)}.List(t.Context(), "shop", tt.live, tt.pods)
		var got []string
		for _, choice := range all {
			got = append(got, choice.String())
		}
		if !slices.Equal(got, tt.want) || len(unread) != 1 {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, unread, tt.want)
		}
		selector := ""
		for _, request := range server.asked {
			if strings.HasSuffix(request.URL.Path, "/pods") {
				selector = request.URL.Query().Get("labelSelector")
			}
		}
		if want := 5 + min(1, len(tt.selector)); selector != tt.selector || len(server.asked) != want {
			t.Errorf("%s: %d requests, want %d; pods are selected by %q, want %q", tt.name, len(server.asked),
				want, selector, tt.selector)
		}
	}
}

// TestUnowned: the labels are those of each controller's pods, and of sessions.
func TestUnowned(t *testing.T) {
	selector, err := labels.Parse(unowned())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"pod-template-hash", "controller-revision-hash", "job-name",
		"batch.kubernetes.io/job-name", owned.SessionLabel} {
		if selector.Matches(labels.Set{"app": "api", key: "x"}) {
			t.Errorf("a pod with the label %s is listed", key)
		}
	}
	if !selector.Matches(labels.Set{"app": "api"}) {
		t.Error("a pod of nobody's is not listed")
	}
}

// A list that is cut says so.
func TestListIsLimited(t *testing.T) {
	rows := make([]string, mostListed+1)
	for n := range rows {
		rows[n] = fmt.Sprintf(`"p%d","Running","1/1","1d"`, n)
	}
	server := &tables{answer: map[string]string{"pods": tableText("Name,Status,Ready,Age", rows...),
		"deployments": "403", "statefulsets": "403", "daemonsets": "403", "cronjobs": "403", "jobs": "403"}}
	all, unread := Cluster{Tables: server.client(t)}.List(t.Context(), "shop", true, true)
	if last := unread[len(unread)-1].Error(); len(all) != mostListed ||
		last != "only the first 10000 pods are listed" {
		t.Errorf("%d are listed, and said is %v", len(all), unread)
	}
}

func TestContainers(t *testing.T) {
	two := deployment()
	two.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "a"}, {Name: "worker", Image: "w"}}
	two.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "m"},
		{Name: "proxy", Image: "p", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
	annotated, wrong, one := two.DeepCopy(), two.DeepCopy(), two.DeepCopy()
	annotated.Spec.Template.Annotations = map[string]string{defaultContainerAnnotation: "worker"}
	wrong.Spec.Template.Annotations = map[string]string{defaultContainerAnnotation: "none"}
	one.Spec.Template.Spec.Containers = one.Spec.Template.Spec.Containers[:1]
	all := []ContainerChoice{{"app", "a"}, {"worker", "w"}, {"proxy", "p"}}
	for name, tt := range map[string]struct {
		objects []runtime.Object
		images  []string
		want    []ContainerChoice
	}{
		"several":                      {[]runtime.Object{two}, []string{"a", "w"}, all},
		"unknown images":               {[]runtime.Object{two}, nil, all},
		"a default one":                {[]runtime.Object{annotated}, []string{"a", "w"}, nil},
		"a default one that is none":   {[]runtime.Object{wrong}, []string{"a", "w"}, all},
		"one and a sidecar":            {[]runtime.Object{one}, nil, nil},
		"one, which the list has said": {nil, []string{"a"}, nil},
	} {
		client := fake.NewClientset(tt.objects...)
		got, err := Cluster{Client: client}.Containers(t.Context(), "shop",
			Choice{Kind: "Deployment", Type: "deploy", Name: "api", Images: tt.images})
		if err != nil || !reflect.DeepEqual(got, tt.want) || tt.objects == nil && len(client.Actions()) > 0 {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tt.want)
		}
	}
	if _, err := (Cluster{Client: fake.NewClientset()}).Containers(t.Context(), "shop",
		Choice{Kind: "Deployment", Type: "deploy", Name: "gone"}); err == nil ||
		!strings.Contains(err.Error(), `deployment/gone in namespace shop: deployments.apps "gone" not found`) {
		t.Errorf("of a workload that is gone the error is %v", err)
	}
}
