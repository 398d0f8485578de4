package workload

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
)

var rollouts = schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}

// object is a custom one in the namespace shop.
func object(gvk schema.GroupVersionKind, name string, spec map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": runtime.DeepCopyJSONValue(spec)}}
	o.SetGroupVersionKind(gvk)
	o.SetName(name)
	o.SetNamespace("shop")
	o.SetUID(objectMeta(name).UID)
	return o
}

// customCluster also knows Rollouts and CloneSets, and Nodes that belong to no namespace.
func customCluster(t *testing.T, client kubernetes.Interface, objects ...runtime.Object) Cluster {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(rollouts, meta.RESTScopeNamespace)
	mapper.Add(cloneSets, meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	return Cluster{
		Client: client,
		Mapper: func() (meta.RESTMapper, error) { return mapper, nil },
		Dynamic: func() (dynamic.Interface, error) {
			return dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...), nil
		},
	}
}

func ofType(typ string, changes ...func(*Query)) Query {
	q := query("", changes...)
	q.Reference.Type = typ
	return q
}

// rolloutSpec has the pod template and the selector of the builders, but for changes.
func rolloutSpec(changes map[string]any) map[string]any {
	t := template()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&t)
	if err != nil {
		panic(err)
	}
	spec := map[string]any{"template": content,
		"selector": map[string]any{"matchLabels": map[string]any{"app": "api"}}}
	maps.Copy(spec, changes)
	return spec
}

func TestCustom(t *testing.T) {
	ofRollout := ofKind("Rollout")
	claims := []any{map[string]any{"metadata": map[string]any{"name": "data"}}}
	withClaims := func(t *Workload) {
		t.ClaimTemplates = []corev1.PersistentVolumeClaim{{}}
		t.ClaimTemplates[0].Name = "data"
	}
	reference := map[string]any{"template": nil, "selector": nil,
		"workloadRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "base"}}
	base := deployment(byDefault("proxy"))
	base.Name = "base"

	tests := []struct {
		name   string
		typ    string
		spec   map[string]any
		query  []func(*Query)
		want   *Workload
		around string
	}{
		{"singular", "rollout", rolloutSpec(nil), nil, found(ofRollout), "rollout/api app=api"},
		{"plural", "Rollouts", rolloutSpec(nil), nil, found(ofRollout), "rollout/api app=api"},
		{"with its group", "rollouts.argoproj.io", rolloutSpec(nil), nil, found(ofRollout),
			"rollout/api app=api"},
		{"with its version", "rollouts.v1alpha1.argoproj.io", rolloutSpec(nil), nil, found(ofRollout),
			"rollout/api app=api"},
		{"a plain selector", "rollout",
			rolloutSpec(map[string]any{"selector": map[string]any{"tier": "web"}}), nil, found(ofRollout),
			"rollout/api tier=web"},
		{"no selector", "rollout", rolloutSpec(map[string]any{"selector": nil}), nil, found(ofRollout), ""},
		{"a selector in words", "rollout", rolloutSpec(map[string]any{"selector": "app=api"}), nil,
			found(ofRollout), ""},
		{"claim templates", "rollout", rolloutSpec(map[string]any{"volumeClaimTemplates": claims}), nil,
			found(ofRollout, withClaims), "rollout/api app=api"},
		{"a template elsewhere", "rollout", rolloutSpec(reference), nil,
			found(ofRollout, func(t *Workload) {
				t.Template, t.Container = template(byDefault("proxy")),
					"proxy"
			}),
			"deployment/base app=api, rollout/api app=api"},
		{"a live pod", "rollout", rolloutSpec(nil), []func(*Query){live},
			found(ofRollout, joined(pod("api-1"), "the newest of 1 ready pod")), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objects := []runtime.Object{pod("api-1")}
			if tt.spec["workloadRef"] != nil {
				objects = append(objects, base)
			}
			c := customCluster(t, cluster(t, everything, objects...), object(rollouts, "api", tt.spec))
			got, err := Resolve(t.Context(), c, ofType(tt.typ, tt.query...))
			if err != nil {
				t.Fatal(err)
			}
			if words := around(got); words != tt.around {
				t.Errorf("around it: %s, want %s", words, tt.around)
			}
			got.NamespaceState = isolation.NamespaceState{}
			if !equality.Semantic.DeepEqual(got, tt.want) {
				t.Errorf("target differs (-want +got):\n%s", diff.Diff(tt.want, got))
			}
		})
	}
}

func TestCustomFails(t *testing.T) {
	const types = "types: pod, deployment, replicaset, statefulset, daemonset, job, cronjob, replicationcontroller, service, and custom ones with a pod template"
	refTo := func(apiVersion, kind string) map[string]any {
		return map[string]any{"workloadRef": map[string]any{"apiVersion": apiVersion, "kind": kind,
			"name": "base"}}
	}
	misspelt := rolloutSpec(nil)
	misspelt["template"].(map[string]any)["spec"].(map[string]any)["contaners"] = []any{}
	tests := []struct {
		name, typ string
		spec      map[string]any
		query     []func(*Query)
		err, hint string
	}{
		{"no such type", "nosuch", nil, nil, `the server doesn't have a resource type "nosuch"`, types},
		{"a misspelt type", "deplyo", nil, nil, `the server doesn't have a resource type "deplyo"`,
			"did you mean: kubectl eshell deploy/api"},
		{"no such group", "rollouts.example.com", nil, nil,
			`the server doesn't have a resource type "rollouts.example.com"`, types},
		{"no namespace", "node", nil, nil, "node/api is not in a namespace, and a pod has to be", types},
		{"not there", "rollout", nil, nil,
			`rollout/api in namespace shop: rollouts.argoproj.io "api" not found`,
			"list what there is: kubectl get rollouts.argoproj.io -n shop"},
		{"no template", "rollout", map[string]any{"replicas": int64(1)}, nil,
			"rollout/api in namespace shop: it has no pod template at .spec.template", types},
		{"another template", "rollout", map[string]any{"template": map[string]any{"type": "Opaque"}}, nil,
			"rollout/api in namespace shop: it has no pod template at .spec.template", types},
		{"an unknown field of the selector", "rollout",
			rolloutSpec(map[string]any{"selector": map[string]any{"match": map[string]any{}}}), nil,
			`rollout/api in namespace shop: .spec.selector: strict decoding error: unknown field "match"`,
			""},
		{"a reference to nothing", "rollout", refTo("apps/v1", "Deployment"), nil,
			`rollout/api in namespace shop: its workloadRef: deployments.apps "base" not found`, ""},
		{"a reference to another custom one", "rollout", refTo("apps.kruise.io/v1alpha1", "CloneSet"), nil,
			"rollout/api in namespace shop: its workloadRef is to CloneSet base of apps.kruise.io/v1alpha1, which eshell does not support", ""},
		{"no selector to find a live pod", "rollout", rolloutSpec(map[string]any{"selector": nil}),
			[]func(*Query){live},
			"rollout/api in namespace shop: it has no selector to find its pods", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var objects []runtime.Object
			if tt.spec != nil {
				objects = append(objects, object(rollouts, "api", tt.spec))
			}
			_, err := Resolve(t.Context(), customCluster(t, cluster(t, everything), objects...),
				ofType(tt.typ, tt.query...))
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}
