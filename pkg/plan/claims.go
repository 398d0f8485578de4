package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// checkOrdinal refuses an ordinal for a workload that is not a StatefulSet. It also refuses shared claims of
// a StatefulSet without an ordinal, because each of its pods has claims of its own.
func (c *clone) checkOrdinal() error {
	parts, templates := c.options.Components, len(c.workload.ClaimTemplates) > 0
	shares := parts.Volumes == VolumesShared || parts.Volumes == VolumesReadOnly
	switch {
	case parts.Ordinal != nil && c.workload.Kind != "StatefulSet":
		return fmt.Errorf("--ordinal needs a StatefulSet, and %s is not one", c.workload)
	case parts.Ordinal == nil && templates && shares:
		return hint.Wrap(fmt.Errorf("--volumes %s: each pod of %s has claims of its own", parts.Volumes,
			c.workload), fmt.Sprintf("take those of its first pod: --volumes %s --ordinal %d", parts.Volumes,
			c.workload.FirstOrdinal))
	}
	return nil
}

// sharesTemplates reports whether the clone uses the claims of one of the StatefulSet's pods.
func (c *clone) sharesTemplates() bool {
	return c.options.Components.Ordinal != nil && c.options.Components.Volumes != VolumesFresh
}

// useClaimTemplates gives a clone of a StatefulSet the volumes that its controller would have given it. These
// are either new volumes from the same templates, which are deleted with the pod, or the volumes of the
// requested pod. Without them, the pod template mounts volumes that do not exist. If the pod template has a
// volume with the name of a claim template, the controller prefers the claim.
func (c *clone) useClaimTemplates() {
	for _, claim := range c.workload.ClaimTemplates {
		c.spec.Volumes = slices.DeleteFunc(c.spec.Volumes,
			func(v corev1.Volume) bool { return v.Name == claim.Name })
		volume := corev1.Volume{Name: claim.Name, VolumeSource: freshVolume(claim.Spec)}
		if c.sharesTemplates() {
			name := fmt.Sprintf("%s-%s-%d", claim.Name, c.workload.Name, *c.options.Components.Ordinal)
			volume.VolumeSource = corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
			}
		} else if c.mounted(claim.Name) {
			c.note(Changed, "volume "+claim.Name+" is new and empty",
				"the claims of "+c.workload.String()+
					" belong to its pods; --volumes shared --ordinal N takes those of one")
		}
		c.spec.Volumes = append(c.spec.Volumes, volume)
	}
}

// freshVolume returns a generic ephemeral volume:
// https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
func freshVolume(spec corev1.PersistentVolumeClaimSpec) corev1.VolumeSource {
	return corev1.VolumeSource{
		Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: *spec.DeepCopy()},
		},
	}
}

// keepClaim mounts a claim in the way that the user chose with --volumes.
func (c *clone) keepClaim(volume *corev1.Volume) error {
	name := volume.PersistentVolumeClaim.ClaimName
	claim := c.claim(name)
	if apierrors.IsNotFound(claim.Err) {
		return hint.Wrap(fmt.Errorf("volume %s: %w", volume.Name, claim.Err),
			hint.Command("list what there is: kubectl get persistentvolumeclaims -n %s",
				c.workload.Namespace))
	}
	switch c.options.Components.Volumes {
	case VolumesFresh:
		if claim.Spec == nil {
			return fmt.Errorf("--volumes fresh: claim %s could not be read, so its size and class "+
				"are not known: %w", name, claim.Err)
		}
		c.note(Changed, "volume "+volume.Name+" is new and empty", "--volumes fresh")
		// The new volume is of the same kind, but separate and empty.
		volume.VolumeSource = freshVolume(corev1.PersistentVolumeClaimSpec{
			AccessModes: claim.Spec.AccessModes, Resources: claim.Spec.Resources,
			StorageClassName: claim.Spec.StorageClassName, VolumeMode: claim.Spec.VolumeMode,
			VolumeAttributesClassName: claim.Spec.VolumeAttributesClassName,
		})
		return nil
	case VolumesReadOnly:
		volume.PersistentVolumeClaim.ReadOnly = true
		c.mountReadOnly(volume.Name)
		c.note(Kept, "claim "+name+", read-only", usedBy(claim))
	default:
		if c.isReadOnly(*volume) {
			c.note(Kept, "claim "+name+", read-only", usedBy(claim)+"; the source reads it only, too")
			break
		}
		c.note(Kept, "claim "+name,
			usedBy(claim)+": what is written there stays; --volumes readonly or fresh")
	}
	return c.besideUsers(claim)
}

func (c *clone) claim(name string) workload.Claim {
	for _, claim := range c.workload.Claims {
		if claim.Name == name {
			return claim
		}
	}
	return workload.Claim{Name: name, Err: fmt.Errorf("it was not looked for")}
}

func usedBy(claim workload.Claim) string {
	if len(claim.Users) == 0 {
		return "it is the original's"
	}
	var pods []string
	for _, user := range claim.Users {
		pods = append(pods, "pod/"+user.Pod)
	}
	if more := len(pods) - 3; more > 0 {
		pods = append(pods[:3], fmt.Sprintf("%d more", more))
	}
	return "shared with " + strings.Join(pods, ", ")
}

// besideUsers pins the clone to the node of a pod that uses the claim if only one node can mount the claim.
// It uses node affinity, because nodeName would bypass the scheduler. It refuses a claim that is in use and
// that only one pod can mount.
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
func (c *clone) besideUsers(claim workload.Claim) error {
	if claim.UsersErr != nil {
		c.note(Warning, "claim "+claim.Name,
			"who uses it could not be read, so the clone may not be able to mount it: "+
				claim.UsersErr.Error())
	}
	if len(claim.Users) > 0 && has(claim.Spec, corev1.ReadWriteOncePod) {
		return hint.Wrap(fmt.Errorf(
			"claim %s is ReadWriteOncePod and in use by pod/%s: only one pod can mount it", claim.Name,
			claim.Users[0].Pod),
			hint.Command("a volume of its own: --volumes fresh; or the running pod itself: "+
				"kubectl eshell %s -n %s --mode debug", "pod/"+claim.Users[0].Pod, c.workload.Namespace))
	}
	if !has(claim.Spec, corev1.ReadWriteOnce) && claim.Spec != nil {
		return nil
	}
	for _, user := range claim.Users {
		if user.Node != "" {
			return c.pinToNode(user.Node,
				fmt.Sprintf("claim %s is mounted there by pod/%s", claim.Name, user.Pod))
		}
	}
	return nil
}

// has reports whether the claim has this access mode and not also ReadWriteMany, which is more permissive.
func has(spec *corev1.PersistentVolumeClaimSpec, mode corev1.PersistentVolumeAccessMode) bool {
	return spec != nil && slices.Contains(spec.AccessModes, mode) &&
		!slices.Contains(spec.AccessModes, corev1.ReadWriteMany)
}
