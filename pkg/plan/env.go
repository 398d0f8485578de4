package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
)

// mergeEnv applies the changes in order. A variable that was set keeps its place, because others
// may refer to it by $(NAME). unset are the names that were to be removed and were not there.
func mergeEnv(env []corev1.EnvVar, changes []EnvChange) (merged []corev1.EnvVar, unset []string) {
	merged = slices.Clone(env)
	for _, change := range changes {
		named := func(e corev1.EnvVar) bool { return e.Name == change.Name }
		at := slices.IndexFunc(merged, named)
		value := corev1.EnvVar{Name: change.Name, Value: agent.Escape([]string{change.Value})[0]}
		switch {
		case change.Remove && at < 0:
			unset = append(unset, change.Name)
		case change.Remove:
			merged = slices.DeleteFunc(merged, named)
		case at < 0:
			merged = append(merged, value)
		default:
			merged[at] = value
		}
	}
	return merged, unset
}

// unsetNote tells that a removal did nothing. The names of envFrom's variables are only known to
// the kubelet, so they cannot be taken out.
func unsetNote(name string) Note {
	return Note{Warning, name + "- removes nothing",
		"env does not name " + name + "; what envFrom brings cannot be removed, only set"}
}
