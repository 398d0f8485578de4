package podgen

import (
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// generator makes the parts of one case. What the API forbids in combination is decided first and
// remembered here, so that every part can be made alone.
type generator struct {
	random  *rand.Rand
	classes Classes

	labels      map[string]string // of the pod
	annotations map[string]string
	host        hostNamespaces
	volumes     []corev1.Volume // that containers may mount
	claims      []string        // the names of the pod's resource claims
	grace       int64           // the pod's termination grace period, in seconds
	restart     corev1.RestartPolicy
	port        int32 // the last one taken: no two containers of a pod share one
}

// maybe is true with probability p.
func (g *generator) maybe(p float64) bool { return g.random.Float64() < p }

// between returns a number from low to high, both included.
func (g *generator) between(low, high int) int { return low + g.random.IntN(high-low+1) }

func pick[T any](g *generator, from ...T) T { return from[g.random.IntN(len(from))] }

// some makes a value with probability p, and else returns the zero value: the field is not set.
func some[T any](g *generator, p float64, value func() T) T {
	if g.maybe(p) {
		return value()
	}
	var unset T
	return unset
}

// optional picks a value for a field that is a pointer, and leaves it unset half of the time.
func optional[T any](g *generator, from ...T) *T {
	if g.maybe(0.5) {
		return nil
	}
	return new(pick(g, from...))
}

// subset takes each of from with probability p, in their order.
func subset[T any](g *generator, p float64, from ...T) []T {
	return slices.DeleteFunc(slices.Clone(from), func(T) bool { return !g.maybe(p) })
}

// list makes from least to most values.
func list[T any](g *generator, least, most int, value func(i int) T) []T {
	var made []T
	for i := range g.between(least, most) {
		made = append(made, value(i))
	}
	return made
}
