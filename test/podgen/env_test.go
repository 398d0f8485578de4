package podgen

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/kubectl/pkg/util/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
)

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
		changed := map[string]bool{agent.ScriptsVariable: true} // the command does not get it
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
			was, is := shown(a[i], s.expected(), s.source.Annotations),
				shown(b[i], s.pod.Labels, s.pod.Annotations)
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
	after := s.files(s.pod.Spec.Volumes, s.pod.Labels, s.pod.Annotations)
	before := s.files(s.source.Spec.Volumes, s.expected(), s.source.Annotations)
	for _, path := range sortedKeys(after) {
		found = complain(found, after[path] != before[path], "file %s shows %q, not %q", path, after[path],
			before[path])
	}
	return found
}

func (s sample) files(volumes []corev1.Volume, labels, annotations map[string]string) map[string]string {
	all := map[string]string{}
	add := func(volume string, items []corev1.DownwardAPIVolumeFile) {
		for _, item := range items {
			if item.FieldRef != nil {
				all[volume+"/"+item.Path] = field(item.FieldRef.FieldPath, labels, annotations)
			} else {
				all[volume+"/"+item.Path] = s.amount(item.ResourceFieldRef)
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

// amount is what a reference to a container's resources shows: the node's business for one that
// runs in the clone, and otherwise what the source says, or 0.
func (s sample) amount(ref *corev1.ResourceFieldSelector) string {
	for _, c := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		if c.Name == ref.ContainerName {
			said, _ := json.Marshal(ref)
			return string(said)
		}
	}
	source := sourceOf(s, ref.ContainerName)
	if source == nil {
		source = &corev1.Container{}
	}
	if main := sourceOf(s, s.Target.Container); !limits(source, ref) && !limits(main, ref) &&
		strings.HasPrefix(ref.Resource, "limits.") {
		ref = ref.DeepCopy() // both show what the node has
		ref.ContainerName = main.Name
		return s.amount(ref)
	}
	amount, err := resourcehelper.ExtractContainerResourceValue(ref, source)
	if err != nil {
		return "0"
	}
	return amount
}

func limits(c *corev1.Container, ref *corev1.ResourceFieldSelector) bool {
	_, set := c.Resources.Limits[corev1.ResourceName(strings.TrimPrefix(ref.Resource, "limits."))]
	return set
}
