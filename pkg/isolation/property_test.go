package isolation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// generator makes cases of few keys and values, so that selectors often match.
type generator struct{ *rand.Rand }

func (g generator) key() string {
	return []string{"a", "b", "c", "d", "e", "app.kubernetes.io/instance"}[g.IntN(6)]
}

func (g generator) value() string { return []string{"1", "2", "3"}[min(g.IntN(5), 2)] }

func (g generator) labels(most int) map[string]string {
	made := map[string]string{}
	for range g.IntN(most + 1) {
		made[g.key()] = g.value()
	}
	return made
}

func (g generator) selector() labels.Selector {
	s := labels.NewSelector()
	for range 1 + g.IntN(3) {
		operator, values := selection.Equals, []string{g.value()}
		switch g.IntN(8) {
		case 0:
			operator, values = selection.In, []string{g.value(), g.value()}
		case 1:
			operator = selection.NotIn
		case 2:
			operator, values = selection.Exists, nil
		case 3:
			operator, values = selection.DoesNotExist, nil
		}
		r, err := labels.NewRequirement(g.key(), operator, values)
		if err != nil {
			panic(err)
		}
		s = s.Add(*r)
	}
	return s
}

func (g generator) namespaceState() NamespaceState {
	var s NamespaceState
	for i := range g.IntN(7) {
		kind := []string{"Service", "PodDisruptionBudget", "Deployment", "ReplicaSet"}[g.IntN(4)]
		s.Selectors = append(s.Selectors,
			Selector{Kind: kind, Name: fmt.Sprint("x", i), Match: g.selector(), NotReady: g.IntN(4) == 0})
	}
	for i := range g.IntN(4) {
		s.Policies = append(s.Policies,
			networkPolicy(fmt.Sprint("p", i), g.key(), from(podsWith(g.key())), to(podsWith(g.key()))))
	}
	return s
}

func (g generator) wish(source map[string]string) LabelOptions {
	w := LabelOptions{}
	if g.IntN(3) == 0 {
		w.Set = g.labels(2)
	}
	if keys := slices.Sorted(maps.Keys(source)); len(keys) > 0 && g.IntN(4) == 0 {
		if key := keys[g.IntN(len(keys))]; w.Set[key] == "" {
			w.Drop = []string{key}
		}
	}
	return w
}

// subsets returns the subsets of keys that could be given up so that nothing matches, found by trying
// them all, the smallest first.
func subsets(keys []string, all map[string]string, s NamespaceState) [][]string {
	var found [][]string
	for bits := range 1 << len(keys) {
		rest, given := maps.Clone(all), []string(nil)
		for i, key := range keys {
			if bits&(1<<i) != 0 {
				delete(rest, key)
				given = append(given, key)
			}
		}
		if !slices.ContainsFunc(s.Selectors,
			func(m Selector) bool { return m.Match.Matches(labels.Set(rest)) }) {
			found = append(found, given)
		}
	}
	slices.SortStableFunc(found, func(a, b []string) int { return len(a) - len(b) })
	return found
}

// mentionedBy counts on its own which policies mention one of the keys: the generator's policies have
// one key in each place.
func mentionedBy(policies []networkingv1.NetworkPolicy, given []string) int {
	count := 0
	for _, p := range policies {
		for _, key := range []string{p.Spec.PodSelector.MatchExpressions[0].Key,
			p.Spec.Ingress[0].From[0].PodSelector.MatchExpressions[0].Key,
			p.Spec.Egress[0].To[0].PodSelector.MatchExpressions[0].Key} {
			if slices.Contains(given, key) {
				count++
				break
			}
		}
	}
	return count
}

// The result matches nothing, gives up a smallest set that the policies mention least, keeps all else,
// is the same in any order of the selectors, and is an error only where no set will do.
func TestJudgeProperties(t *testing.T) {
	refused := 0
	for seed := range uint64(20000) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		source, s := g.labels(8), g.namespaceState()
		w := g.wish(source)
		if err := checkVerdict(g, source, s, w, &refused); err != nil {
			t.Fatalf("seed %d: source %v, selectors %v, wish %+v: %v", seed, source, describe(s), w, err)
		}
	}
	if refused < 1000 || refused > 10000 {
		t.Errorf("%d cases of 20000 were refused: the generator does not try both ends", refused)
	}
}

func describe(s NamespaceState) []string {
	var words []string
	for _, m := range s.Selectors {
		words = append(words, m.String()+": "+m.Match.String())
	}
	return words
}

func checkVerdict(g generator, source map[string]string, s NamespaceState, w LabelOptions,
	refused *int) error {
	before := maps.Clone(source)
	v, err := SelectLabels(source, s, w, set("own=x"))
	if !maps.Equal(source, before) {
		return fmt.Errorf("the source became %v", source)
	}
	all, loose := before, slices.Sorted(maps.Keys(source))
	for _, key := range w.Drop {
		delete(all, key)
	}
	maps.Copy(all, w.Set)
	all["own"] = "x"
	loose = slices.DeleteFunc(loose,
		func(key string) bool { return w.Set[key] != "" || slices.Contains(w.Drop, key) })
	possible := subsets(loose, all, s)
	if err != nil {
		*refused++
		if len(possible) > 0 {
			return fmt.Errorf("refused (%w), but %v can be given up", err, possible[0])
		}
		return nil
	}
	given := slices.DeleteFunc(slices.Clone(loose),
		func(key string) bool { _, kept := v.Labels[key]; return kept })
	if err := checkChoice(given, possible, s); err != nil {
		return err
	}
	for _, key := range given {
		delete(all, key)
	}
	if !maps.Equal(v.Labels, all) {
		return fmt.Errorf("labels are %v, want %v", v.Labels, all)
	}
	if err := checkReasons(v, w, given); err != nil {
		return err
	}
	if again, err := SelectLabels(source, s, w, set("own=x")); err != nil || !reflect.DeepEqual(again, v) {
		return fmt.Errorf("the second time: %v, %w", again, err)
	}
	g.Shuffle(len(s.Selectors),
		func(i, j int) { s.Selectors[i], s.Selectors[j] = s.Selectors[j], s.Selectors[i] })
	if again, err := SelectLabels(source, s, w, set("own=x")); err != nil || !maps.Equal(again.Labels,
		v.Labels) {
		return fmt.Errorf("in another order: %v, %w", again.Labels, err)
	}
	return nil
}

func checkChoice(given []string, possible [][]string, s NamespaceState) error {
	if !slices.ContainsFunc(possible, func(p []string) bool { return slices.Equal(p, given) }) {
		return fmt.Errorf("without %v something matches", given)
	}
	for _, other := range possible {
		switch {
		case len(other) < len(given):
			return fmt.Errorf("gave up %v, %v would do", given, other)
		case len(other) > len(given):
			return nil
		case mentionedBy(s.Policies, other) < mentionedBy(s.Policies, given):
			return fmt.Errorf("gave up %v, fewer policies mention %v", given, other)
		case mentionedBy(s.Policies, other) > mentionedBy(s.Policies, given):
		case slices.Contains(other, instanceLabel) && !slices.Contains(given, instanceLabel):
			return fmt.Errorf("gave up %v, not Argo CD's %v", given, other)
		case slices.Contains(other, instanceLabel) == slices.Contains(given, instanceLabel) &&
			slices.Compare(other, given) < 0:
			return fmt.Errorf("gave up %v, %v comes before", given, other)
		}
	}
	return nil
}

// checkReasons says whether each key that is not there is accounted for once, with a reason.
func checkReasons(v Result, w LabelOptions, given []string) error {
	var accounted []string
	for _, d := range v.Dropped {
		if d.Reason == "" || d.Reason[0] == ' ' {
			return fmt.Errorf("no reason for %v", d.Keys)
		}
		accounted = append(accounted, d.Keys...)
	}
	slices.Sort(accounted)
	want := slices.Sorted(slices.Values(slices.Concat(given, w.Drop)))
	if !slices.Equal(accounted, want) {
		return fmt.Errorf("%v are said to be dropped, want %v", accounted, want)
	}
	return nil
}

// What is kept with --keep-labels is refused exactly where something would adopt the clone or send it
// requests, and the flag that the hint names leads out of it.
func TestKeepProperties(t *testing.T) {
	adopted := 0
	for seed := range uint64(5000) {
		g := generator{rand.New(rand.NewPCG(seed, 4))}
		source, s := g.labels(8), g.namespaceState()
		matches := s.Matching(source)
		bad := slices.ContainsFunc(matches,
			func(m Selector) bool { return m.Kind == "ReplicaSet" || m.Kind == "Service" && m.NotReady })
		v, err := SelectLabels(source, s, LabelOptions{Keep: true}, nil)
		switch {
		case bad != (err != nil):
			t.Fatalf("seed %d: source %v, selectors %v: error %v", seed, source, describe(s), err)
		case err != nil:
			adopted++
			if dropped := hintedKeys(err); len(dropped) > 0 {
				if _, err := SelectLabels(source, s, LabelOptions{Keep: true, Drop: dropped},
					nil); err != nil {
					t.Fatalf("seed %d: source %v, selectors %v: without %v: %v", seed, source, describe(s),
						dropped, err)
				}
			}
		case !maps.Equal(v.Labels, source) || !slices.Equal(names(v.Matches), names(matches)):
			t.Fatalf("seed %d: source %v, selectors %v: labels %v, matches %v", seed, source, describe(s),
				v.Labels, names(v.Matches))
		}
	}
	if adopted < 200 {
		t.Errorf("only %d cases of 5000 were refused", adopted)
	}
}

// hintedKeys are the keys of the hint "--drop-labels KEY,... gives up".
func hintedKeys(err error) []string {
	words := strings.Fields(hint.Of(err))
	if len(words) < 2 || words[0] != "--drop-labels" {
		return nil
	}
	return strings.Split(words[1], ",")
}
