package podgen

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
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
// it was, and the same input gives the same plan. What is refused is refused for a reason.
func TestClones(t *testing.T) {
	const cases = 5000
	cloned := 0
	for seed := range uint64(cases) {
		c := New(seed, "shop", classes())
		p, err := plan.Clone(c.Target, c.Options)
		again := New(seed, "shop", classes())
		if !reflect.DeepEqual(c.Target, again.Target) || !reflect.DeepEqual(c.Options, again.Options) {
			t.Errorf("seed %d: the plan changes its input", seed)
		}
		if err != nil {
			if !c.refusable(err) {
				t.Errorf("seed %d: refused for no reason that the test knows: %v", seed, err)
			}
			continue
		}
		cloned++
		if same, _ := plan.Clone(again.Target, again.Options); !reflect.DeepEqual(p, same) {
			t.Errorf("seed %d: the same input gives two plans", seed)
		}
		s := sample{c, again.Target.Template, p.Pod}
		for _, name := range sortedKeys(rules()) {
			for _, complaint := range rules()[name](s) {
				t.Errorf("seed %d: %s: %s", seed, name, complaint)
			}
		}
	}
	if cloned < cases/2 {
		t.Errorf("of %d cases %d are cloned", cases, cloned)
	}
}

// refusable reports that the case has what the error says.
func (c Case) refusable(err error) bool {
	text, o, t := err.Error(), c.Options, c.Target
	switch {
	case strings.Contains(text, "is ReadWriteOncePod and in use"):
		return o.Parts.Volumes != plan.VolumesFresh && slices.ContainsFunc(t.Claims, usedOnce)
	case strings.Contains(text, "--overrides: ") && strings.Contains(text, "selects a pod"):
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
	for _, selector := range s.Target.Surroundings.Selectors {
		if selector.Match.Matches(labels.Set(s.pod.Labels)) {
			kinds = append(kinds, selector.String())
			found = complain(found, !s.Options.Labels.Keep || takes(selector), "%s selects %v", selector, s.pod.Labels)
		}
	}
	var known []string
	for _, selector := range s.Target.Surroundings.Matching(s.pod.Labels) {
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
		case strings.HasPrefix(key, "container.apparmor.security.beta.kubernetes.io/"):
			found = complain(found, has != runs(s.pod.Spec, strings.TrimPrefix(key, "container.apparmor.security.beta.kubernetes.io/")), "annotation %s: %v", key, has)
		default:
			found = complain(found, value != s.source.Annotations[key], "annotation %s is %q", key, value)
		}
	}
	found = complain(found, s.pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "false", "it may be evicted")
	return complain(found, s.pod.Annotations["karpenter.sh/do-not-disrupt"] != "true", "it may be disrupted")
}

// isBookkeeping are the annotations of words that are about the source itself.
func isBookkeeping(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"argocd.argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.sh", "meta.helm.sh", "kubectl.kubernetes.io",
		"prometheus.io", "scheduling.k8s.io"}, domain)
}

func runs(spec corev1.PodSpec, name string) bool {
	return slices.Contains(namesOf(slices.Concat(spec.Containers, spec.InitContainers)), name)
}

func endRules(s sample) []string {
	spec := s.pod.Spec
	found := complain(nil, spec.RestartPolicy != corev1.RestartPolicyNever, "restart policy %s", spec.RestartPolicy)
	found = complain(found, spec.ActiveDeadlineSeconds == nil || *spec.ActiveDeadlineSeconds != 8*3600, "deadline")
	found = complain(found, spec.TerminationGracePeriodSeconds == nil || *spec.TerminationGracePeriodSeconds < 1 || *spec.TerminationGracePeriodSeconds > 5, "grace period")
	found = complain(found, spec.NodeName != "" || spec.Hostname != "" || spec.Subdomain != "" || spec.SetHostnameAsFQDN != nil || spec.HostnameOverride != nil,
		"the original's place or name: %s %s %s", spec.NodeName, spec.Hostname, spec.Subdomain)
	found = complain(found, spec.Priority != nil || spec.PreemptionPolicy != nil || spec.PriorityClassName != "" || spec.Overhead != nil, "priority or overhead")
	return complain(found, len(spec.SchedulingGates) > 0 || len(spec.EphemeralContainers) > 0, "gates or ephemeral containers")
}

func servingRules(s sample) []string {
	found := complain(nil, !slices.Equal(s.pod.Spec.ReadinessGates, []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}}), "readiness gates %v", s.pod.Spec.ReadinessGates)
	for _, c := range s.pod.Spec.Containers {
		found = complain(found, c.RestartPolicy != nil, "%s restarts", c.Name)
	}
	for _, c := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		found = complain(found, len(c.Ports) > 0, "%s has ports", c.Name)
		found = complain(found, c.LivenessProbe != nil || c.ReadinessProbe != nil || c.Lifecycle != nil || c.RestartPolicyRules != nil, "%s has what a server has", c.Name)
		found = complain(found, c.StartupProbe != nil && !isSidecar(c), "%s has a startup probe", c.Name)
		found = complain(found, c.RestartPolicy != nil && !isSidecar(c), "%s has a restart policy", c.Name)
		if before := sourceOf(s, c.Name); before != nil && isSidecar(c) {
			found = complain(found, (before.StartupProbe == nil) != (c.StartupProbe == nil), "%s has lost its startup probe", c.Name)
			found = complain(found, c.StartupProbe != nil && probed(c.StartupProbe).Type == intstr.String, "%s is probed on port %s, which is gone", c.Name, probed(c.StartupProbe).StrVal)
		}
	}
	return found
}

func probed(p *corev1.Probe) intstr.IntOrString {
	switch {
	case p == nil:
	case p.HTTPGet != nil:
		return p.HTTPGet.Port
	case p.TCPSocket != nil:
		return p.TCPSocket.Port
	}
	return intstr.IntOrString{}
}

func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// sourceOf is the container of that name in the source, or nil.
func sourceOf(s sample, name string) *corev1.Container {
	all := slices.Concat(s.source.Spec.Containers, s.source.Spec.InitContainers)
	if i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// volumeRules: every volume that is used exists, every volume that exists is used, and what can be
// used once only is.
func volumeRules(s sample) []string {
	var found []string
	exists, used := map[string]bool{}, map[string]bool{}
	for _, v := range s.pod.Spec.Volumes {
		found = complain(found, exists[v.Name], "volume %s is there twice", v.Name)
		found = complain(found, strings.HasPrefix(v.Name, "kube-api-access-"), "volume %s is admission's", v.Name)
		exists[v.Name] = true
	}
	for _, c := range slices.Concat(s.pod.Spec.Containers, s.pod.Spec.InitContainers) {
		for name := range usedBy(c) {
			used[name] = true
			found = complain(found, !exists[name], "%s uses volume %s, which does not exist", c.Name, name)
		}
		if before := sourceOf(s, c.Name); before != nil {
			lost := mounted(*before)
			maps.DeleteFunc(lost, func(name string, _ bool) bool { return mounted(c)[name] || strings.HasPrefix(name, "kube-api-access-") })
			found = complain(found, len(lost) > 0, "%s has lost volumes %v", c.Name, sortedKeys(lost))
		}
	}
	for name := range exists {
		found = complain(found, !used[name], "nobody uses volume %s", name)
	}
	return found
}

func mounted(c corev1.Container) map[string]bool {
	used := map[string]bool{}
	for _, m := range c.VolumeMounts {
		used[m.Name] = true
	}
	for _, d := range c.VolumeDevices {
		used[d.Name] = true
	}
	return used
}

// usedBy are the volumes that a container mounts or takes variables from.
func usedBy(c corev1.Container) map[string]bool {
	used := mounted(c)
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil {
			used[e.ValueFrom.FileKeyRef.VolumeName] = true
		}
	}
	return used
}

func deviceRules(s sample) []string {
	var found []string
	exists, used := map[string]bool{}, map[string]bool{}
	for _, claim := range s.pod.Spec.ResourceClaims {
		exists[claim.Name] = true
	}
	for _, c := range slices.Concat(s.pod.Spec.Containers, s.pod.Spec.InitContainers) {
		for _, claim := range c.Resources.Claims {
			used[claim.Name] = true
		}
		_, has := c.Resources.Limits[device]
		found = complain(found, has && s.Options.Parts.NoDevices, "%s holds a device", c.Name)
	}
	found = complain(found, len(used) > 0 && s.Options.Parts.NoDevices, "resource claims are held")
	return complain(found, !maps.Equal(exists, used), "resource claims %v, used %v", sortedKeys(exists), sortedKeys(used))
}

// keptRules: what is the pod's own and hurts nobody is as in the source.
func keptRules(s sample) []string {
	before, after, identity := s.source.Spec, s.pod.Spec, s.Options.Identity
	var found []string
	same := func(field string, a, b any) {
		found = complain(found, !equality.Semantic.DeepEqual(a, b), "%s: %v is %v", field, a, b)
	}
	same("securityContext", before.SecurityContext, after.SecurityContext)
	same("nodeSelector", before.NodeSelector, after.NodeSelector)
	same("runtimeClassName", before.RuntimeClassName, after.RuntimeClassName)
	same("host namespaces", []bool{before.HostNetwork, before.HostPID, before.HostIPC}, []bool{after.HostNetwork, after.HostPID, after.HostIPC})
	same("hostUsers", before.HostUsers, after.HostUsers)
	same("DNS", before.DNSConfig, after.DNSConfig)
	same("dnsPolicy", before.DNSPolicy, after.DNSPolicy)
	same("shareProcessNamespace", before.ShareProcessNamespace, after.ShareProcessNamespace)
	same("enableServiceLinks", before.EnableServiceLinks, after.EnableServiceLinks)
	if s.Options.Overrides.Patch == "" {
		same("schedulerName", before.SchedulerName, after.SchedulerName)
		same("hostAliases", before.HostAliases, after.HostAliases)
	}
	if identity.ServiceAccount == "" {
		same("serviceAccountName", before.ServiceAccountName, after.ServiceAccountName)
	}
	if !identity.NoToken {
		same("automountServiceAccountToken", before.AutomountServiceAccountToken, after.AutomountServiceAccountToken)
	}
	for _, secret := range before.ImagePullSecrets {
		found = complain(found, !slices.Contains(after.ImagePullSecrets, secret), "pull secret %s is lost", secret.Name)
	}
	return found
}

func containerRules(s sample) []string {
	var found []string
	o := s.Options
	for _, c := range s.pod.Spec.Containers {
		chosen := c.Name == s.Target.Container
		found = complain(found, !chosen && !o.Parts.WithAll && !slices.Contains(o.Parts.With, c.Name), "%s runs too", c.Name)
	}
	for _, c := range s.source.Spec.Containers {
		wanted := c.Name == s.Target.Container || o.Parts.WithAll || slices.Contains(o.Parts.With, c.Name)
		found = complain(found, wanted != runs(s.pod.Spec, c.Name), "%s is wanted: %v", c.Name, wanted)
	}
	found = append(found, initRules(s)...)
	for _, after := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		before := sourceOf(s, after.Name)
		if before == nil {
			found = complain(found, after.Name != owned.ToolboxName || o.Toolbox == "", "%s comes from nowhere", after.Name)
			continue
		}
		want := before.SecurityContext.DeepCopy()
		if o.Identity.UID != nil && after.Name == s.Target.Container {
			if want == nil {
				want = &corev1.SecurityContext{}
			}
			want.RunAsUser = o.Identity.UID
			if o.Identity.GID != nil {
				want.RunAsGroup = o.Identity.GID
			}
		}
		found = complain(found, !equality.Semantic.DeepEqual(want, after.SecurityContext), "%s: its security context is %v", after.Name, after.SecurityContext)
		found = complain(found, !equality.Semantic.DeepEqual(before.EnvFrom, after.EnvFrom), "%s: envFrom", after.Name)
		found = complain(found, before.WorkingDir != after.WorkingDir || before.ImagePullPolicy != after.ImagePullPolicy, "%s: folder or pull policy", after.Name)
		found = complain(found, before.Image != after.Image && o.Image == "" && !o.Pin, "%s: image %s", after.Name, after.Image)
	}
	return found
}

// initRules: the wanted ones run, in their order.
func initRules(s sample) []string {
	parts, before := s.Options.Parts, namesOf(s.source.Spec.InitContainers)
	after := slices.DeleteFunc(namesOf(s.pod.Spec.InitContainers), func(name string) bool { return name == owned.ToolboxName })
	found := complain(nil, !slices.Equal(after, slices.DeleteFunc(slices.Clone(before), func(name string) bool { return !slices.Contains(after, name) })), "init containers %v are in another order: %v", before, after)
	for _, c := range s.source.Spec.InitContainers {
		has := slices.Contains(after, c.Name)
		switch {
		case isSidecar(c):
			found = complain(found, has != (parts.WithAll || slices.Contains(parts.With, c.Name)), "sidecar %s runs: %v", c.Name, has)
		case parts.Init == plan.InitAll:
			found = complain(found, !has, "init container %s does not run", c.Name)
		case parts.Init == plan.InitNone:
			found = complain(found, has, "init container %s runs", c.Name)
		case parts.Init == plan.InitNamed:
			found = complain(found, has != slices.Contains(parts.InitNames, c.Name), "init container %s runs: %v", c.Name, has)
		}
	}
	return found
}

// envRules: every variable of every container shows what it shows in the source.
func envRules(s sample) []string {
	var found []string
	if s.patchesLabels() {
		return nil // the patch comes last, and the user's words are not judged by what they show
	}
	for _, after := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		before := sourceOf(s, after.Name)
		if before == nil {
			continue
		}
		changed := map[string]bool{}
		if after.Name == s.Target.Container {
			for _, change := range s.Options.Env {
				changed[change.Name] = true
			}
		}
		untouched := func(env []corev1.EnvVar) []corev1.EnvVar {
			return slices.DeleteFunc(slices.Clone(env), func(e corev1.EnvVar) bool { return changed[e.Name] })
		}
		a, b := untouched(before.Env), untouched(after.Env)
		if len(a) != len(b) {
			found = complain(found, true, "%s has %d variables of %d", after.Name, len(b), len(a))
			continue
		}
		for i := range a {
			was, is := shown(a[i], s.expected(), s.source.Annotations), shown(b[i], s.pod.Labels, s.pod.Annotations)
			found = complain(found, was != is, "%s: %s shows %q, not %q", after.Name, a[i].Name, is, was)
		}
	}
	return found
}

// expected are the labels that a variable may show: the source's, but for those that the user set.
func (s sample) expected() map[string]string {
	set := maps.Clone(s.source.Labels)
	maps.Copy(set, s.Options.Labels.Set)
	return set
}

// shown is the value that a variable has, as far as it is known without a node.
func shown(e corev1.EnvVar, labels, annotations map[string]string) string {
	if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
		return e.Name + "=" + field(e.ValueFrom.FieldRef.FieldPath, labels, annotations)
	}
	if e.ValueFrom != nil {
		// Not String: two spellings of one quantity differ there.
		from, _ := json.Marshal(e.ValueFrom)
		return e.Name + " from " + string(from)
	}
	return e.Name + "=" + strings.ReplaceAll(e.Value, "$$", "$")
}

func field(path string, labels, annotations map[string]string) string {
	if key, ok := strings.CutPrefix(path, "metadata.labels['"); ok {
		return labels[strings.TrimSuffix(key, "']")]
	}
	if key, ok := strings.CutPrefix(path, "metadata.annotations['"); ok {
		return annotations[strings.TrimSuffix(key, "']")]
	}
	return "{" + path + "}"
}

// fileRules: every file of the downward API shows what it shows in the source.
func fileRules(s sample) []string {
	var found []string
	if s.patchesLabels() {
		return nil
	}
	after := files(s.pod.Spec.Volumes, s.pod.Labels, s.pod.Annotations)
	before := files(s.source.Spec.Volumes, s.expected(), s.source.Annotations)
	for _, path := range sortedKeys(after) {
		found = complain(found, after[path] != before[path], "file %s shows %q, not %q", path, after[path], before[path])
	}
	return found
}

func files(volumes []corev1.Volume, labels, annotations map[string]string) map[string]string {
	all := map[string]string{}
	add := func(volume string, items []corev1.DownwardAPIVolumeFile) {
		for _, item := range items {
			if item.FieldRef != nil {
				all[volume+"/"+item.Path] = field(item.FieldRef.FieldPath, labels, annotations)
			}
		}
	}
	for _, v := range volumes {
		if v.DownwardAPI != nil {
			add(v.Name, v.DownwardAPI.Items)
		}
		if v.Projected != nil {
			for _, source := range v.Projected.Sources {
				if source.DownwardAPI != nil {
					add(v.Name, source.DownwardAPI.Items)
				}
			}
		}
	}
	return all
}

// placeRules: other pods have no say in where the clone runs, nodes have the same.
func placeRules(s sample) []string {
	before, after := s.source.Spec, s.pod.Spec
	found := complain(nil, len(after.TopologySpreadConstraints) > 0, "topology spread")
	found = complain(found, after.Affinity != nil && (after.Affinity.PodAffinity != nil || after.Affinity.PodAntiAffinity != nil), "pod affinity")
	for _, t := range before.Tolerations {
		automatic := t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable
		found = complain(found, automatic == slices.ContainsFunc(after.Tolerations, func(k corev1.Toleration) bool { return equality.Semantic.DeepEqual(t, k) }), "toleration of %s", t.Key)
	}
	if before.Affinity != nil && before.Affinity.NodeAffinity != nil {
		kept := after.Affinity != nil && after.Affinity.NodeAffinity != nil
		found = complain(found, !kept || !equality.Semantic.DeepEqual(preferred(before), preferred(after)), "node affinity")
	}
	return found
}

func preferred(spec corev1.PodSpec) []corev1.PreferredSchedulingTerm {
	return spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
}
