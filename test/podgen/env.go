package podgen

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func (g *generator) env() []corev1.EnvVar {
	made := list(g, 0, 6, func(i int) corev1.EnvVar {
		e := corev1.EnvVar{Name: pick(g, fmt.Sprintf("NAME_%d", i), fmt.Sprintf("name-%d.x", i))}
		if g.maybe(0.4) {
			e.Value = pick(g, "plain", "$(NAME_0)/x", "$$(NAME_0)", "$(UNKNOWN)", "two\nlines", "")
		} else {
			e.ValueFrom = g.envSource()
		}
		return e
	})
	return append(made, some(g, 0.1,
		func() []corev1.EnvVar { return []corev1.EnvVar{{Name: "NAME_0", Value: "twice"}} })...)
}

func (g *generator) envSource() *corev1.EnvVarSource {
	switch g.between(0, 5) {
	case 0:
		return &corev1.EnvVarSource{ResourceFieldRef: g.resourceField("")}
	case 1:
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named(
			"config"), Key: "key", Optional: optional(g, true, false)}}
	case 2:
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: named(
			"secret"), Key: "key", Optional: optional(g, true, false)}}
	case 3:
		if file := g.fileKey(); file != nil {
			return &corev1.EnvVarSource{FileKeyRef: file}
		}
	}
	path := g.fieldPath(pick(g, "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
		"spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"))
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path,
		APIVersion: pick(g, "", "v1")}}
}

// fileKey reads from a volume that the container need not mount; it has to be an emptyDir.
func (g *generator) fileKey() *corev1.FileKeySelector {
	for _, volume := range g.volumes {
		if volume.EmptyDir != nil {
			return &corev1.FileKeySelector{VolumeName: volume.Name, Path: "env/app.env", Key: "KEY",
				Optional: optional(g, true, false)}
		}
	}
	return nil
}

// fieldPath is often one of a label or an annotation that a clone may have to give up, or that is
// not there at all.
func (g *generator) fieldPath(other string) string {
	quoted := func(field string, of map[string]string, none string) string {
		key := none
		if keys := sortedKeys(of); len(keys) > 0 && g.maybe(0.9) {
			key = pick(g, keys...)
		}
		return fmt.Sprintf("metadata.%s['%s']", field, key)
	}
	switch g.between(0, 2) {
	case 0:
		return quoted("labels", g.labels, "app")
	case 1:
		return quoted("annotations", g.annotations, "absent")
	}
	return other
}

// resourceField belongs to the container itself, or in a volume to the one that is named.
func (g *generator) resourceField(container string) *corev1.ResourceFieldSelector {
	name := pick(g, "limits.cpu", "requests.cpu", "limits.memory", "requests.memory",
		"limits.ephemeral-storage", "requests.hugepages-2Mi")
	divisor := resource.Quantity{}
	if name == "limits.cpu" && g.maybe(0.5) {
		divisor = resource.MustParse("1m")
	}
	return &corev1.ResourceFieldSelector{ContainerName: container, Resource: name, Divisor: divisor}
}

func (g *generator) envFrom() []corev1.EnvFromSource {
	return list(g, 0, 2, func(int) corev1.EnvFromSource {
		from := corev1.EnvFromSource{Prefix: pick(g, "", "P_")}
		if g.maybe(0.5) {
			from.ConfigMapRef = &corev1.ConfigMapEnvSource{LocalObjectReference: named("config"),
				Optional: optional(g, true, false)}
		} else {
			from.SecretRef = &corev1.SecretEnvSource{LocalObjectReference: named("secret"),
				Optional: optional(g, true, false)}
		}
		return from
	})
}

func named(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
