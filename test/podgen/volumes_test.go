package podgen

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// volumeRules: every volume that is used exists, every volume that exists is used, and what can be
// used once only is.
func volumeRules(s sample) []string {
	var found []string
	exists, used := map[string]bool{}, map[string]bool{}
	for _, v := range s.pod.Spec.Volumes {
		found = complain(found, exists[v.Name], "volume %s is there twice", v.Name)
		found = complain(found, strings.HasPrefix(v.Name, "kube-api-access-"), "volume %s is admission's",
			v.Name)
		exists[v.Name] = true
	}
	for _, c := range slices.Concat(s.pod.Spec.Containers, s.pod.Spec.InitContainers) {
		for name := range usedBy(c) {
			used[name] = true
			found = complain(found, !exists[name], "%s uses volume %s, which does not exist", c.Name, name)
		}
		if before := sourceOf(s, c.Name); before != nil {
			lost := mounted(*before)
			maps.DeleteFunc(lost,
				func(name string, _ bool) bool {
					return mounted(c)[name] || strings.HasPrefix(name,
						"kube-api-access-")
				})
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
		found = complain(found, has && s.Options.Components.NoDevices, "%s holds a device", c.Name)
	}
	found = complain(found, len(used) > 0 && s.Options.Components.NoDevices, "resource claims are held")
	return complain(found, !maps.Equal(exists, used), "resource claims %v, used %v", sortedKeys(exists),
		sortedKeys(used))
}
