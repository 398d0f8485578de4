// Package isolation judges labels: what in a namespace selects a pod that carries them, and which
// label keys a clone has to give up so that nothing does. It is a pure choice over facts that
// somebody else has read.
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

// Selector is an object that picks pods by their labels: a Service, a PodDisruptionBudget or a
// controller.
type Selector struct {
	Kind  string // as in the API: "Service"
	Name  string
	Match labels.Selector
	// NotReady says of a Service that it publishes the addresses of pods that are not ready.
	NotReady bool
	// Placement says of a controller that the scheduler places its pods by these labels.
	Placement bool
}

// String returns the selector as kubectl writes it: service/api.
func (s Selector) String() string {
	name := strings.ToLower(s.Kind) + "/" + s.Name
	if s.Placement {
		return "the placement of " + name
	}
	return name
}

// NamespaceState are what in the source's namespace selects pods by their labels.
type NamespaceState struct {
	Selectors []Selector
	Policies  []networkingv1.NetworkPolicy
	// Unknown is why they could not all be read: no label can be judged then.
	Unknown error
}

// LabelOptions is what the user asked of the labels.
type LabelOptions struct {
	Keep bool              // all of the source's, whatever selects them
	Set  map[string]string // these as well, or instead
	Drop []string          // not these keys
}

// Result is what the clone's labels are to be.
type Result struct {
	Labels  map[string]string
	Dropped []Dropped
	// Matches are what selects the clone all the same, where the user wished it.
	Matches []Selector
}

// Dropped are label keys that the clone does not carry, with the reason.
type Dropped struct {
	Keys   []string
	Reason string
}

// check refuses options that contradict themselves or what the choice rests on.
func (o LabelOptions) check(s NamespaceState, own map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(o.Set)) {
		switch {
		case slices.Contains(o.Drop, key):
			return fmt.Errorf("label %s is both in --labels and in --drop-labels", key)
		// Controllers whose selectors need such a label are not in the namespace's state: no clone has it.
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
	return []managedLabels{
		controllerLabels(),
		{ // which release or application an object belongs to
			domains: []string{
				"argocd.argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "helm.sh",
				"meta.helm.sh",
			},
			reason: "GitOps tools delete objects with their labels that are in no manifest",
		},
		{ // what makes a pod wait for its turn, or for the others of its group
			domains: []string{
				"kueue.x-k8s.io", "volcano.sh", "scheduling.volcano.sh", "pod-group.scheduling.sigs.k8s.io",
				"scheduling.x-k8s.io",
			},
			reason: "a queue would hold the clone back, or count it in the original's group",
		},
	}
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
