//go:build unix

package e2e

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

var update = flag.Bool("update", false, "write the golden files of TestWorkloads")

// TestWorkloads clones on paper what charts install, and a live pod of each: the server accepts
// the clone as it was printed, nothing in the namespace selects it, and it is as in its golden file.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	chart := install(t, workloads(t))
	chart.strict(t)
	for _, w := range chart.workloads {
		pod, live := chart.pods[w.words[0]]
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			chart.try(t, w, random(pod))
		})
		if live {
			t.Run(w.name+".pod", func(t *testing.T) {
				t.Parallel()
				chart.try(t, w.of(pod), random(pod))
			})
		}
	}
	chart.noOtherGolden(t)
}

// workload is one manifest of the folder workloads. In its comments it says which trap it carries,
// what is typed after "kubectl eshell", and whether that is refused. NAMESPACE in it is the run's, in
// the names of what is the cluster's. The label eshell.test/without-pods says that its controller makes
// none, runs=yes that they run.
type workload struct {
	name     string
	words    []string
	refused  bool
	manifest string
}

func workloads(t *testing.T) []workload {
	t.Helper()
	files, err := filepath.Glob("workloads/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workloads: %v", err)
	}
	var all []workload
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w := workload{name: strings.TrimSuffix(filepath.Base(file), ".yaml"), manifest: string(text)}
		for line := range strings.Lines(w.manifest) {
			if words, found := strings.CutPrefix(line, "# eshell: "); found {
				w.words = strings.Fields(words)
			}
			w.refused = w.refused || line == "# refused\n"
		}
		if len(w.words) == 0 || !strings.HasPrefix(w.manifest, "# trap: ") {
			t.Fatalf("%s does not say its trap and what is typed", file)
		}
		all = append(all, w)
	}
	return all
}

// of is the same for a live pod of the workload.
func (w workload) of(pod corev1.Pod) workload {
	w.name += ".pod"
	w.words = append([]string{"pod/" + pod.Name}, w.words[1:]...)
	return w
}

// chart is the workloads as they are in the cluster.
type chart struct {
	namespace string
	workloads []workload
	pods      map[string]corev1.Pod // by the workload whose controller made it
	nodes     []string
	selectors []selector
}

// install creates the workloads and waits until their controllers have created the pods. Hardly one
// of those can be scheduled.
func install(t *testing.T, all []workload) chart {
	t.Helper()
	c := chart{namespace: env.namespace + "-workloads-" + rand.String(5), workloads: all}
	define(t)
	kubectl(t, "create", "namespace", c.namespace)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", c.namespace, "--wait=false") })
	manifests := c.manifests(t)
	// Before the namespace goes what is the cluster's, and the jobs: a namespace deletes its pods first,
	// and the pod that an indexed job cannot replace in there keeps its finalizer for ever.
	t.Cleanup(func() {
		kubectl(t, "delete", "-n", c.namespace, "-f", manifests, "--wait=false", "--ignore-not-found")
	})
	kubectl(t, "apply", "-n", c.namespace, "-f", manifests, "--validate=strict")
	const counted = "!eshell.test/without-pods,!pod-template-hash"
	for _, made := range [][3]string{
		{"deployments,statefulsets,replicasets,replicationcontrollers", counted,
			"jsonpath={.status.replicas}=1"},
		{"jobs", counted, "jsonpath={.status.active}=1"},
		// A daemon set has as many as there are nodes.
		{"pods", "app.kubernetes.io/instance=node-exporter", "create"},
		{"pods", "app=csi-node", "create"},
	} {
		kubectl(t, "wait", "-n", c.namespace, made[0], "-l", made[1], "--for="+made[2], "--timeout=60s")
	}
	kubectl(t, "wait", "-n", c.namespace, "deployments", "-l", "runs=yes", "--for=condition=Available",
		"--timeout=120s")
	c.nodes, c.pods, c.selectors = nodes(t), c.livePods(t), c.allSelectors(t)
	return c
}

func nodes(t *testing.T) (names []string) {
	t.Helper()
	list, err := client(t).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range list.Items {
		names = append(names, node.Name)
	}
	return names
}

func (c chart) manifests(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, w := range c.workloads {
		manifest := strings.ReplaceAll(w.manifest, "NAMESPACE", c.namespace)
		if err := os.WriteFile(filepath.Join(dir, w.name+".yaml"), []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// define creates the custom resources' definitions that are not there. The embedded cluster keeps
// them: another run may be using them.
func define(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("workloads/crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	for _, file := range files {
		stderr, err := tried("create", "-f", file)
		switch {
		case err != nil && !strings.Contains(stderr, "AlreadyExists"):
			t.Fatalf("define %s: %v: %s", file, err, stderr)
		case err == nil && !env.embedded:
			t.Cleanup(func() { kubectl(t, "delete", "-f", file, "--wait=false") })
		}
	}
	kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "-f", "workloads/crds")
}

// livePods are, by the name that a workload is cloned by, the first pod that its controller has made.
func (c chart) livePods(t *testing.T) map[string]corev1.Pod {
	t.Helper()
	pods, err := client(t).CoreV1().Pods(c.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := client(t).AppsV1().ReplicaSets(c.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deployments := map[string]string{}
	for _, set := range sets.Items {
		if owner := metav1.GetControllerOf(&set); owner != nil {
			deployments["replicaset/"+set.Name] = ownerName(owner)
		}
	}
	first := map[string]corev1.Pod{}
	for _, pod := range slices.Backward(pods.Items) { // they come sorted by name
		if owner := metav1.GetControllerOf(&pod); owner != nil && !isForFakeNode(pod) {
			name := ownerName(owner)
			if deployment, found := deployments[name]; found {
				name = deployment
			}
			first[name] = pod
		}
	}
	return first
}

// isForFakeNode reports a daemon set's pod for a node that another test has made: it goes with that.
func isForFakeNode(pod corev1.Pod) bool {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return false
	}
	required := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		return false
	}
	for _, term := range required.NodeSelectorTerms {
		for _, field := range term.MatchFields {
			if len(field.Values) > 0 && strings.HasPrefix(field.Values[0], fakeNodePrefix) {
				return true
			}
		}
	}
	return false
}

func ownerName(owner *metav1.OwnerReference) string {
	return strings.ToLower(owner.Kind) + "/" + owner.Name
}

// selector is an object that would take a pod with the labels for one of its own.
type selector struct {
	name    string
	matches labels.Selector
}

// allSelectors are those of all Services, budgets and controllers.
func (c chart) allSelectors(t *testing.T) []selector {
	t.Helper()
	var list unstructured.UnstructuredList
	const kinds = "services,poddisruptionbudgets,deployments,replicasets,statefulsets,daemonsets,jobs,replicationcontrollers,rollouts.argoproj.io,clonesets.apps.kruise.io"
	if err := list.UnmarshalJSON(
		[]byte(kubectl(t, "get", "-n", c.namespace, kinds, "-o", "json"))); err != nil {
		t.Fatal(err)
	}
	var all []selector
	for _, object := range list.Items {
		if spec, found, err := unstructured.NestedMap(object.Object, "spec", "selector"); err != nil {
			t.Fatal(err)
		} else if found { // a Service without one selects nothing
			all = append(all, selector{object.GetKind() + " " + object.GetName(),
				asSelector(t, object.GetKind(), spec)})
		}
	}
	if len(all) < len(c.workloads) {
		t.Fatalf("%d workloads have only %d selectors", len(c.workloads), len(all))
	}
	return all
}

func asSelector(t *testing.T, kind string, spec map[string]any) labels.Selector {
	t.Helper()
	structured := metav1.LabelSelector{}
	if kind == "Service" || kind == "ReplicationController" {
		spec = map[string]any{"matchLabels": spec}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &structured); err != nil {
		t.Fatal(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&structured)
	if err != nil {
		t.Fatal(err)
	}
	return selector
}

// try clones one workload and judges the clone. What is random in it is replaced.
func (c chart) try(t *testing.T, w workload, replaced replacements) {
	replaced = append(replaced, c.namespace, "NAMESPACE")
	args := []string{w.words[0], "-n", c.namespace, "--dry-run=client", "-o", "yaml", "-q"}
	end := eshell(t.Context(), append(args, w.words[1:]...)...)
	if w.refused {
		if end.status != 125 || end.stdout != "" {
			t.Fatalf("exit status %d; it was not refused: %s", end.status, end.stdout)
		}
		golden(t, w.name+".txt", strings.NewReplacer(replaced...).Replace(end.stderr))
		return
	}
	if end.status != 0 {
		t.Fatalf("exit status %d: %s", end.status, end.stderr)
	}
	golden(t, w.name+".yaml", c.shown(t, end.stdout, replaced))
	c.apart(t, end.stdout)
	if err := c.accepts(t, end.stdout); err != nil {
		t.Errorf("the server refuses the clone: %v", err)
	}
}

// accepts is what the server says to the very text that was printed, as kubectl create --dry-run=server
// --validate=strict asks it: a client that read the text would leave out what it does not know.
func (c chart) accepts(t *testing.T, manifest string) error {
	t.Helper()
	return client(t).CoreV1().RESTClient().Post().Namespace(c.namespace).Resource("pods").
		Param("dryRun", metav1.DryRunAll).Param("fieldValidation", metav1.FieldValidationStrict).
		SetHeader("Content-Type", runtime.ContentTypeYAML).Body([]byte(manifest)).Do(t.Context()).Error()
}

// strict asserts that the server is asked to refuse what it does not know.
func (c chart) strict(t *testing.T) {
	t.Helper()
	const typo = `
apiVersion: v1
kind: Pod
metadata: {name: typo}
spec: {containers: [{name: app, image: none, imagePolicy: Never}]}
`
	err := c.accepts(t, typo)
	if err == nil || !strings.Contains(err.Error(), `unknown field "spec.containers[0].imagePolicy"`) {
		t.Errorf("an unknown field is accepted: %v", err)
	}
}

// apart asserts that the clone is nobody's, serves nothing and ends.
func (c chart) apart(t *testing.T, manifest string) {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(manifest), &pod); err != nil {
		t.Fatal(err)
	}
	if pod.APIVersion != "v1" || pod.Kind != "Pod" { // without which kubectl would not know where to send it
		t.Errorf("it is of kind %q, version %q", pod.Kind, pod.APIVersion)
	}
	for _, s := range c.selectors {
		if s.matches.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s selects the clone by its labels %v", s.name, pod.Labels)
		}
	}
	if len(pod.OwnerReferences) > 0 || len(pod.Finalizers) > 0 {
		t.Errorf("the clone is owned by %v, held by %v", pod.OwnerReferences, pod.Finalizers)
	}
	if pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("restartPolicy is %q", pod.Spec.RestartPolicy)
	}
	for _, container := range pod.Spec.Containers {
		serves(t, container, container.StartupProbe != nil)
	}
	for _, init := range pod.Spec.InitContainers {
		// The kubelet starts what follows a native sidecar when its startup probe succeeds.
		sidecar := init.RestartPolicy != nil && *init.RestartPolicy == corev1.ContainerRestartPolicyAlways
		serves(t, init, init.StartupProbe != nil && !sidecar)
	}
}

func serves(t *testing.T, container corev1.Container, startupProbe bool) {
	t.Helper()
	if startupProbe || container.LivenessProbe != nil || container.ReadinessProbe != nil ||
		container.Lifecycle != nil || len(container.Ports) > 0 {
		t.Errorf("container %s has probes, hooks or ports", container.Name)
	}
}

// replacements are what is another in each run, each with the word that is in the golden files.
type replacements []string

// random is what a live pod, if there is one, and the labels that its controller made say of one run
// only. The name comes first: the hash is a part of it.
func random(pod corev1.Pod) replacements {
	name := pod.Name
	if pod.Labels["statefulset.kubernetes.io/pod-name"] != "" {
		name = "" // it is the same each time
	}
	var found replacements
	for _, value := range [][2]string{
		{name, "POD"},
		{pod.Labels["pod-template-hash"], "HASH"},
		{pod.Labels["controller-revision-hash"], "HASH"},
		{pod.Labels["batch.kubernetes.io/controller-uid"], "UID"},
	} {
		if value[0] != "" {
			found = append(found, value[0], value[1])
		}
	}
	return found
}

// shown is the manifest as the golden files have it: without what is random, and without the text
// of the scripts, which are not the pod's.
func (c chart) shown(t *testing.T, manifest string, replaced replacements) string {
	t.Helper()
	var pod map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &pod); err != nil {
		t.Fatal(err)
	}
	session, _, err := unstructured.NestedString(pod, "metadata", "labels", owned.SessionLabel)
	if err != nil || session == "" {
		t.Fatalf("the clone has no session: %v\n%s", err, manifest)
	}
	if err := unstructured.SetNestedField(pod, "USER", "metadata", "annotations",
		owned.UserAnnotation); err != nil {
		t.Fatal(err)
	}
	anywhere := strings.NewReplacer(append(replaced, "-eshell-"+session, "-eshell-SESSION", "eshell "+session,
		"eshell SESSION")...)
	each(pod, func(text string) string {
		switch {
		case text == session:
			return "SESSION"
		case slices.Contains(c.nodes, text):
			return "NODE"
		case strings.HasPrefix(text, "# kubectl-eshell: "):
			return "SCRIPT"
		}
		return anywhere.Replace(text)
	})
	sortVolumes(t, pod)
	var shown strings.Builder
	if err := new(printers.YAMLPrinter).PrintObj(&unstructured.Unstructured{Object: pod},
		&shown); err != nil {
		t.Fatal(err)
	}
	return shown.String()
}

// sortVolumes puts them in order: the StatefulSet controller's own is another in each pod.
func sortVolumes(t *testing.T, pod map[string]any) {
	t.Helper()
	volumes, found, err := unstructured.NestedSlice(pod, "spec", "volumes")
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return
	}
	name := func(volume any) string { return volume.(map[string]any)["name"].(string) }
	slices.SortFunc(volumes, func(a, b any) int { return strings.Compare(name(a), name(b)) })
	if err := unstructured.SetNestedSlice(pod, volumes, "spec", "volumes"); err != nil {
		t.Fatal(err)
	}
}

// each changes every string in the value.
func each(value any, change func(string) string) any {
	switch value := value.(type) {
	case string:
		return change(value)
	case []any:
		for i := range value {
			value[i] = each(value[i], change)
		}
	case map[string]any:
		for key := range value {
			value[key] = each(value[key], change)
		}
	}
	return value
}

const goldens = "workloads/golden"

// golden asserts that got is what the golden file has, or makes it so.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join(goldens, name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s", diff.Diff(file, want, "got", []byte(got)))
	}
}

// noOtherGolden asserts that no golden file is left of a workload that is gone.
func (c chart) noOtherGolden(t *testing.T) {
	t.Helper()
	known := map[string]bool{}
	for _, w := range c.workloads {
		ending := ".yaml"
		if w.refused {
			ending = ".txt"
		}
		_, live := c.pods[w.words[0]]
		known[w.name+ending], known[w.name+".pod"+ending] = true, live
	}
	entries, err := os.ReadDir(goldens)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			t.Errorf("%s is no workload's golden file", entry.Name())
		}
	}
}

// tried runs the real kubectl, which may fail, and returns what it says on stderr.
func tried(args ...string) (stderr string, err error) {
	var complaints bytes.Buffer
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), args...)
	cmd.Env, cmd.Stderr = env.env(), &complaints
	err = cmd.Run()
	return complaints.String(), err
}
