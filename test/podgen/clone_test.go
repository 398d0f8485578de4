package podgen

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// sample is a case and its clone.
type sample struct {
	Case
	source corev1.PodTemplateSpec
	pod    *corev1.Pod
}

// rules hold for the clone of every case. Each returns what is wrong.
func rules() map[string]func(sample) []string {
	return map[string]func(sample) []string{
		"selectors":  selectedBy,
		"labels":     labelRules,
		"metadata":   metadataRules,
		"ends":       endRules,
		"serves":     servingRules,
		"volumes":    volumeRules,
		"devices":    deviceRules,
		"kept":       keptRules,
		"containers": containerRules,
		"env":        envRules,
		"files":      fileRules,
		"placed":     placeRules,
	}
}

// Random workloads, cloned with random options: every rule holds for every clone, the source is as
// it was, and the same input gives the same plan. What is refused is refused for a reason. One case
// alone, with its manifests: go test ./test/podgen -v -run 'TestClones/^SEED$'
func TestClones(t *testing.T) {
	const cases = 5000
	ran, cloned := 0, 0
	for seed := range uint64(cases) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ran++
			if testClone(t, seed) {
				cloned++
			}
		})
	}
	if ran == cases && cloned < cases/2 {
		t.Errorf("of %d cases %d are cloned", cases, cloned)
	}
}

func testClone(t *testing.T, seed uint64) (cloned bool) {
	c, untouched := New(seed, "shop", classes()), New(seed, "shop", classes())
	p, err := plan.Clone(c.Target, c.Options)
	if !reflect.DeepEqual(c.Target, untouched.Target) || !reflect.DeepEqual(c.Options, untouched.Options) {
		t.Error("the plan changes its input")
	}
	if err != nil {
		if !untouched.refusable(err) {
			t.Errorf("refused for no reason that the test knows: %v", err)
		}
		return false
	}
	if same, _ := plan.Clone(untouched.Target, untouched.Options); !reflect.DeepEqual(p, same) {
		t.Error("the same input gives two plans")
	}
	s := sample{untouched, untouched.Target.Template, p.Pod}
	for _, name := range sortedKeys(rules()) {
		for _, complaint := range rules()[name](s) {
			t.Errorf("%s: %s", name, complaint)
		}
	}
	if t.Failed() && testing.Verbose() {
		t.Logf("with %+v\n%s\n%s", c.Options, manifest(t, c.Workload), manifest(t, p.Pod))
	}
	return true
}

func manifest(t *testing.T, object runtime.Object) string {
	t.Helper()
	var text strings.Builder
	if err := printers.NewTypeSetter(scheme.Scheme).ToPrinter(&printers.YAMLPrinter{}).PrintObj(object,
		&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// refusable reports that the case has what the error says.
func (c Case) refusable(err error) bool {
	text, o, t := err.Error(), c.Options, c.Target
	switch {
	case strings.Contains(text, "is ReadWriteOncePod and in use"):
		return o.Components.Volumes != plan.VolumesFresh && slices.ContainsFunc(t.Claims, usedOnce)
	case strings.Contains(text, "--overrides: ") && strings.Contains(text, "would select the clone"):
		return c.patchesLabels()
	case strings.Contains(text, "--via exec"), strings.Contains(text, "pods/exec"):
		return !t.Access.ExecPods
	}
	return c.labelsRefusable()
}

func complain(found []string, wrong bool, format string, args ...any) []string {
	if wrong {
		return append(found, fmt.Sprintf(format, args...))
	}
	return found
}

// selectedBy asks apimachinery itself, and pkg/isolation, which has to agree.
func selectedBy(s sample) []string {
	var found, kinds []string
	for _, selector := range s.Target.NamespaceState.Selectors {
		if selector.Match.Matches(labels.Set(s.pod.Labels)) {
			kinds = append(kinds, selector.String())
			found = complain(found, !s.Options.Labels.Keep || takes(selector), "%s selects %v", selector,
				s.pod.Labels)
		}
	}
	var known []string
	for _, selector := range s.Target.NamespaceState.Matching(s.pod.Labels) {
		known = append(known, selector.String())
	}
	return complain(found, !slices.Equal(kinds, known), "Matching says %v, they are %v", known, kinds)
}

func metadataRules(s sample) []string {
	m := s.pod.ObjectMeta
	m.Name, m.Namespace, m.Labels, m.Annotations = "", "", nil, nil
	found := complain(nil, !reflect.ValueOf(m).IsZero(), "more than a name: %+v", m)
	for _, key := range sortedKeys(s.source.Annotations) {
		value, has := s.pod.Annotations[key]
		switch {
		case key == "cluster-autoscaler.kubernetes.io/safe-to-evict", key == "karpenter.sh/do-not-disrupt":
		case isBookkeeping(key):
			found = complain(found, has, "annotation %s is there", key)
		case strings.HasPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix):
			name := strings.TrimPrefix(key, corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix)
			found = complain(found, has != runs(s.pod.Spec, name), "annotation %s: %v", key, has)
		default:
			found = complain(found, value != s.source.Annotations[key], "annotation %s is %q", key, value)
		}
	}
	found = complain(found, s.pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "false",
		"it may be evicted")
	return complain(found, s.pod.Annotations["karpenter.sh/do-not-disrupt"] != "true", "it may be disrupted")
}

// isBookkeeping are the annotations of words that are about the source itself.
func isBookkeeping(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"argocd.argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.sh",
		"meta.helm.sh", "kubectl.kubernetes.io",
		"prometheus.io", "scheduling.k8s.io"}, domain)
}

func runs(spec corev1.PodSpec, name string) bool {
	return slices.Contains(namesOf(slices.Concat(spec.Containers, spec.InitContainers)), name)
}
