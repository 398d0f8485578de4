package isolation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Beyond the bound nothing matches either, and no key is given up that could be kept alone: twenty
// pairs of keys, of which one each has to go, have a million smallest sets. Policies have no say there.
func TestBeyondTheBound(t *testing.T) {
	source, s := map[string]string{"free": "1"}, NamespaceState{}
	for i := range 20 {
		a, b := fmt.Sprintf("a%02d", i), fmt.Sprintf("b%02d", i)
		source[a], source[b] = "1", "1"
		s.Selectors = append(s.Selectors, selecting(fmt.Sprintf("Service/s%d: %s=1,%s=1", i, a, b)))
	}
	v, err := SelectLabels(source, s.with(networkPolicy("p", "b00")), LabelOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Labels) != 21 || v.Labels["free"] == "" || v.Labels["a00"] == "" ||
		len(s.Matching(v.Labels)) != 0 {
		t.Errorf("labels %v", slices.Sorted(maps.Keys(v.Labels)))
	}
	for _, d := range v.Dropped {
		for _, key := range d.Keys {
			back := maps.Clone(v.Labels)
			back[key] = source[key]
			if len(s.Matching(back)) == 0 {
				t.Errorf("%s need not have been given up", key)
			}
		}
	}
	// A match by the user's label cannot be escaped there either.
	s.Selectors = append(s.Selectors, selecting("Service/mine: mine=1"))
	_, err = SelectLabels(source, s, LabelOptions{Set: set("mine=1")}, nil)
	if want := "label mine=1 makes service/mine select the clone"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// What the bound allows is quick: a namespace of a thousand Services and a pod with thirty labels.
func BenchmarkJudge(b *testing.B) {
	g := generator{rand.New(rand.NewPCG(1, 1))}
	source, s := map[string]string{}, NamespaceState{}
	for i := range 30 {
		source[fmt.Sprint("k", i)] = "1"
	}
	for i := range 1000 {
		s.Selectors = append(s.Selectors,
			selecting(fmt.Sprintf("Service/s%d: k%d=1,k%d=1", i, g.IntN(30), g.IntN(30))))
	}
	for b.Loop() {
		if _, err := SelectLabels(source, s, LabelOptions{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
