package isolation

import (
	"slices"
	"strings"
)

// managedLabels are labels that a kind of software keeps its books by. No clone carries them, whatever the
// selectors of its namespace are.
type managedLabels struct {
	keys    []string
	domains []string // every key of these, and the bare domain as a key
	reason  string
}

func (m managedLabels) has(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains(m.keys, key) || slices.Contains(m.domains, domain)
}

func allManagedLabels() []managedLabels {
	return []managedLabels{controllerLabels(), gitOpsLabels(), queueLabels()}
}

// IsManagedLabel reports a label or an annotation by which controllers, GitOps tools and queues keep their
// books of a pod. A clone carries none.
func IsManagedLabel(key string) bool {
	return slices.ContainsFunc(allManagedLabels(), func(m managedLabels) bool { return m.has(key) })
}

// controllerLabels are what controllers put on the pods they make.
func controllerLabels() managedLabels {
	return managedLabels{
		keys: []string{
			"pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash",
			"pod-template-generation",
			"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "job-name",
			"controller-uid",
		},
		domains: []string{"batch.kubernetes.io", "apps.kruise.io"},
		reason:  "controllers use it to find the pods that they made",
	}
}

// gitOpsLabels say which release or application an object belongs to.
func gitOpsLabels() managedLabels {
	return managedLabels{
		domains: []string{
			"argocd.argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "helm.sh",
			"meta.helm.sh",
		},
		reason: "GitOps tools delete objects with their labels that are in no manifest",
	}
}

// queueLabels make a pod wait for its turn, or for the others of its group.
func queueLabels() managedLabels {
	return managedLabels{
		domains: []string{
			"kueue.x-k8s.io", "volcano.sh", "scheduling.volcano.sh", "pod-group.scheduling.sigs.k8s.io",
			"scheduling.x-k8s.io",
		},
		reason: "a queue would hold the clone back, or count it in the original's group",
	}
}
