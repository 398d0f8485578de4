package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// keepVolumes leaves the volumes that only dropped containers used, and gives a clone of a
// StatefulSet what its claim templates would have given it: a volume of its own from the same
// template, deleted with the pod. Its pod template alone names volumes that do not exist.
func (c *clone) keepVolumes() {
	var kept []corev1.Volume
	for _, volume := range c.spec.Volumes {
		if c.mounted(volume.Name) {
			kept = append(kept, volume)
		}
	}
	for _, claim := range c.target.ClaimTemplates {
		if c.mounted(claim.Name) && !slices.ContainsFunc(kept, func(v corev1.Volume) bool { return v.Name == claim.Name }) {
			kept = append(kept, freshVolume(claim))
			c.note(Changed, "volume "+claim.Name+" is new and empty", "the claims of "+c.target.String()+" belong to its pods")
		}
	}
	c.spec.Volumes = kept
}

func (c *clone) mounted(volume string) bool {
	uses := func(container corev1.Container) bool { return mounts(container, volume) }
	return slices.ContainsFunc(c.spec.Containers, uses) || slices.ContainsFunc(c.spec.InitContainers, uses)
}

// freshVolume is a generic ephemeral volume:
// https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
func freshVolume(claim corev1.PersistentVolumeClaim) corev1.Volume {
	return corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
		Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
			Spec: *claim.Spec.DeepCopy(),
		}},
	}}
}
