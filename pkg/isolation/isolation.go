// Package isolation judges labels. It determines what in a namespace selects a pod that carries them, and
// which label keys a clone has to give up so that nothing does. It is a pure choice based on facts that its
// caller has read.
package isolation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// Selector is an object that selects pods by their labels: a Service, a PodDisruptionBudget or a controller.
type Selector struct {
	Kind  string // as in the API: "Service"
	Name  string
	Match labels.Selector
	// NotReady reports whether a Service publishes the addresses of pods that are not ready.
	NotReady bool
	// Placement reports whether these are the labels by which the scheduler places a controller's pods.
	Placement bool
}

// String returns the selector in kubectl's notation: service/api.
func (s Selector) String() string {
	name := strings.ToLower(s.Kind) + "/" + s.Name
	if s.Placement {
		return "the placement of " + name
	}
	return name
}

// NamespaceState holds what selects pods by their labels in the source's namespace.
type NamespaceState struct {
	Selectors []Selector
	Policies  []networkingv1.NetworkPolicy
	// Unknown is the reason why not all of them could be read. If it is set, no label can be judged.
	Unknown error
}

// LabelOptions holds the user's choices about labels.
type LabelOptions struct {
	Keep bool              // keep all labels of the source, whatever selects them
	Set  map[string]string // set these in addition to the source's, or instead of them
	Drop []string          // drop these keys
}

// Result describes the clone's labels.
type Result struct {
	Labels  map[string]string
	Dropped []Dropped
	// Matches are the selectors that still match the clone, because the user wanted it.
	Matches []Selector
}

// Dropped are label keys that the clone does not carry, with the reason.
type Dropped struct {
	Keys   []string
	Reason string
}

// check refuses options that contradict themselves or what the selection is based on.
func (o LabelOptions) check(s NamespaceState, own map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(o.Set)) {
		switch {
		case slices.Contains(o.Drop, key):
			return fmt.Errorf("label %s is both in --labels and in --drop-labels", key)
		// NamespaceState leaves out controllers whose selectors need such a label, because no clone has it.
		case controllerLabels().has(key):
			return fmt.Errorf("label %s in --labels: controllers use it to find the pods that they made", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if _, set := o.Set[key]; set || slices.Contains(o.Drop, key) {
			return fmt.Errorf("label %s is reserved: eshell finds its clones by it", key)
		}
	}
	var flags []string
	if o.Keep {
		flags = append(flags, "--keep-labels")
	}
	if len(o.Set) > 0 {
		flags = append(flags, "--labels")
	}
	if s.Unknown == nil || len(flags) == 0 {
		return nil
	}
	given := words.List(flags, "and")
	return hint.Wrap(fmt.Errorf("%s cannot be judged: %w", given, s.Unknown),
		"leave out "+given+": the clone then has no label of the original")
}

// managedLabels are labels by which one kind of software keeps track of objects. No clone carries them,
// whatever the selectors in its namespace are.
type managedLabels struct {
	keys    []string
	domains []string // every key in these domains, and the domain itself as a key
	reason  string
}

func (m managedLabels) has(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains(m.keys, key) || slices.Contains(m.domains, domain)
}

func allManagedLabels() []managedLabels {
	return []managedLabels{
		controllerLabels(),
		{ // these state which release or application an object belongs to
			domains: []string{
				"argocd.argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "helm.sh",
				"meta.helm.sh",
			},
			reason: "GitOps tools delete objects with their labels that are in no manifest",
		},
		{ // these make a pod wait for its turn, or for the others of its group
			domains: []string{
				"kueue.x-k8s.io", "volcano.sh", "scheduling.volcano.sh", "pod-group.scheduling.sigs.k8s.io",
				"scheduling.x-k8s.io",
			},
			reason: "a queue would hold the clone back, or count it in the original's group",
		},
	}
}

// IsManagedLabel reports whether controllers, GitOps tools or queues keep track of a pod by a label or an
// annotation. A clone carries none of these.
func IsManagedLabel(key string) bool {
	return slices.ContainsFunc(allManagedLabels(), func(m managedLabels) bool { return m.has(key) })
}

// controllerLabels returns the labels that controllers put on the pods that they make.
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
