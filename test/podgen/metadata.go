package podgen

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// words are annotations that have a meaning to somebody, for good or ill.
func words() map[string]string {
	return map[string]string{
		"argocd.argoproj.io/tracking-id":                   "shop:apps/Deployment:shop/api",
		"kustomize.toolkit.fluxcd.io/checksum":             "abc",
		"meta.helm.sh/release-name":                        "shop",
		"helm.sh/hook":                                     "pre-install",
		"kubectl.kubernetes.io/restartedAt":                "2026-01-01T00:00:00Z",
		"kubectl.kubernetes.io/last-applied-configuration": "{}",
		"vault.hashicorp.com/agent-inject":                 "true",
		"sidecar.istio.io/inject":                          "true",
		"iam.amazonaws.com/role":                           "api",
		"prometheus.io/scrape":                             "true",
		"scheduling.k8s.io/group-name":                     "ring",
		"cluster-autoscaler.kubernetes.io/safe-to-evict":   "true",
		"karpenter.sh/do-not-disrupt":                      "false",
		"example.com/Team":                                 "shop, \"api\"\nand $(more)",
	}
}

func (g *generator) someAnnotations() map[string]string {
	made := map[string]string{}
	for _, key := range subset(g, 0.3, sortedKeys(words())...) {
		made[key] = words()[key]
	}
	return made
}

// annotateContainers names containers in annotations. An AppArmor annotation may not contradict a
// profile in the spec, so it is only there where the spec has none.
func (g *generator) annotateContainers(t *corev1.PodTemplateSpec) {
	all := slices.Concat(t.Spec.Containers, t.Spec.InitContainers)
	if g.maybe(0.3) {
		t.Annotations["kubectl.kubernetes.io/default-container"] = pick(g, t.Spec.Containers...).Name
	}
	if t.Spec.SecurityContext != nil && t.Spec.SecurityContext.AppArmorProfile != nil {
		return
	}
	for _, container := range all {
		if (container.SecurityContext == nil || container.SecurityContext.AppArmorProfile == nil) &&
			g.maybe(0.2) {
			t.Annotations["container.apparmor.security.beta.kubernetes.io/"+container.Name] = pick(g,
				"runtime/default", "unconfined", "localhost/api")
		}
	}
}

// lived is the metadata of a pod that its controller and the server have been at.
func (g *generator) lived(meta *metav1.ObjectMeta) {
	meta.UID = types.UID("0b7a8c5e-1111-4222-8333-444455556666")
	meta.ResourceVersion, meta.Generation, meta.GenerateName = "4711", 1, "api-7d4b9c6f5-"
	meta.CreationTimestamp = metav1.Unix(1_800_000_000, 0)
	meta.Finalizers = some(g, 0.3, func() []string { return []string{"example.com/tidy"} })
	meta.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet",
		Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1"}}
	owner := metav1.OwnerReference{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "api-7d4b9c6f5",
		UID: "1b7a8c5e-1111-4222-8333-444455556666", Controller: new(true),
	}
	meta.OwnerReferences = some(g, 0.7,
		func() []metav1.OwnerReference { return []metav1.OwnerReference{owner} })
}
