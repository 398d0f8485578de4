package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// keepVolumes keeps the mounted volumes in the way that the user chose. By default, volumes that outlive a
// pod are shared with the original. A StatefulSet's claims, which belong to its pods, are replaced by new
// ones.
func (c *clone) keepVolumes() error {
	if i := slices.IndexFunc(c.spec.Volumes, isToken); i >= 0 && c.workload.Kind == "Pod" {
		c.dropVolume(c.spec.Volumes[i].Name)
	}
	c.useClaimTemplates()
	var kept []corev1.Volume
	for _, volume := range c.spec.Volumes {
		if !c.mounted(volume.Name) {
			c.note(Detail, "volume "+volume.Name+" is left out", "no container that runs mounts it")
			continue
		}
		if err := c.keepVolume(&volume); err != nil {
			return err
		}
		kept = append(kept, volume)
	}
	c.spec.Volumes = kept
	return nil
}

func (c *clone) keepVolume(volume *corev1.Volume) error {
	switch {
	case !outlives(*volume):
		return nil
	case volume.PersistentVolumeClaim != nil:
		return c.keepClaim(volume)
	case c.isReadOnly(*volume):
		c.note(Kept, sourceOf(*volume)+", read-only",
			"it is not the clone's own; the source reads it only, too")
	case c.options.Components.Volumes == VolumesReadOnly:
		c.mountReadOnly(volume.Name)
		c.note(Kept, sourceOf(*volume)+", read-only", "it is not the clone's own")
	default:
		c.note(Kept, sourceOf(*volume),
			"it is not the clone's own: what is written there stays; "+
				"--volumes readonly keeps it from being written")
	}
	return nil
}

// outlives reports whether a volume exists before and after its pods.
// https://kubernetes.io/docs/concepts/storage/volumes/
func outlives(volume corev1.Volume) bool {
	s := volume.VolumeSource
	own := s.EmptyDir != nil || s.ConfigMap != nil || s.Secret != nil || s.DownwardAPI != nil ||
		s.Projected != nil ||
		s.Ephemeral != nil || s.CSI != nil || s.Image != nil || s.GitRepo != nil
	return !own && s != (corev1.VolumeSource{})
}

func sourceOf(volume corev1.Volume) string {
	switch {
	case volume.HostPath != nil:
		return "host path " + volume.HostPath.Path
	case volume.NFS != nil:
		return "NFS volume " + volume.NFS.Server + ":" + volume.NFS.Path
	}
	return "volume " + volume.Name
}

// isReadOnly reports whether nothing that runs in the clone can write to a volume.
func (c *clone) isReadOnly(volume corev1.Volume) bool {
	if claim := volume.PersistentVolumeClaim; claim != nil && claim.ReadOnly ||
		volume.NFS != nil && volume.NFS.ReadOnly {
		return true
	}
	for _, container := range c.containers() {
		if slices.ContainsFunc(container.VolumeMounts,
			func(m corev1.VolumeMount) bool { return m.Name == volume.Name && !m.ReadOnly }) ||
			slices.ContainsFunc(container.VolumeDevices,
				func(d corev1.VolumeDevice) bool { return d.Name == volume.Name }) {
			return false
		}
	}
	return true
}

func (c *clone) mountReadOnly(volume string) {
	for _, container := range c.containers() {
		for i := range container.VolumeMounts {
			if container.VolumeMounts[i].Name == volume {
				container.VolumeMounts[i].ReadOnly = true
			}
		}
	}
}

func (c *clone) mounted(volume string) bool {
	return slices.ContainsFunc(c.containers(),
		func(container *corev1.Container) bool { return mounts(*container, volume) })
}

// mounts reports whether the container uses a volume: as files, as a device, or for the values of variables.
func mounts(container corev1.Container, volume string) bool {
	return slices.ContainsFunc(container.VolumeMounts,
		func(m corev1.VolumeMount) bool { return m.Name == volume }) ||
		slices.ContainsFunc(container.VolumeDevices,
			func(d corev1.VolumeDevice) bool { return d.Name == volume }) ||
		slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool {
			return e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil &&
				e.ValueFrom.FileKeyRef.VolumeName == volume
		})
}

// dropVolume removes a volume and its mounts.
func (c *clone) dropVolume(name string) {
	c.spec.Volumes = slices.DeleteFunc(c.spec.Volumes,
		func(v corev1.Volume) bool { return v.Name == name })
	for _, container := range c.containers() {
		container.VolumeMounts = slices.DeleteFunc(container.VolumeMounts,
			func(m corev1.VolumeMount) bool { return m.Name == name })
	}
}

// isToken reports whether a volume is the one that admission mounts into every container of a live pod. It
// recognizes the volume by its name and contents. Admission mounts such a volume into the clone again.
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
func isToken(volume corev1.Volume) bool {
	return strings.HasPrefix(volume.Name, "kube-api-access-") && volume.Projected != nil &&
		slices.ContainsFunc(volume.Projected.Sources,
			func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil })
}
