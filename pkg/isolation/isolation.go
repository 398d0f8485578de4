// Package isolation judges labels: what in a namespace selects a pod that carries them, and which
// label keys a clone has to give up so that nothing does. It is a pure choice over facts that
// somebody else has read.
package isolation

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
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
