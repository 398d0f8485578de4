package podgen

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (g *generator) someVolumes() []corev1.Volume {
	sources := g.volumeSources()
	return list(g, 0, 6, func(i int) corev1.Volume {
		return corev1.Volume{Name: fmt.Sprintf("volume-%d", i), VolumeSource: pick(g, sources...)()}
	})
}

// volumeSources are the types of volumes in use. Those that only one storage system has, and that
// its CSI driver has replaced, are here by their commonest.
func (g *generator) volumeSources() []func() corev1.VolumeSource {
	return []func() corev1.VolumeSource{
		g.emptyDir, g.emptyDir, g.configMap, g.secret, g.projected, g.projected, g.downwardAPI, g.downwardAPI,
		g.hostPath, g.claim, g.claim, g.ephemeral, g.csi, g.image, g.networkVolume,
	}
}

func (g *generator) emptyDir() corev1.VolumeSource {
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium:    pick(g, corev1.StorageMediumDefault, corev1.StorageMediumMemory),
		SizeLimit: optional(g, resource.MustParse("1Gi"))}}
}

func (g *generator) configMap() corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: named("config"), Items: g.items("c"), DefaultMode: g.mode(),
		Optional: optional(g, true, false)}}
}

func (g *generator) secret() corev1.VolumeSource {
	return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: "secret", Items: g.items("s"), DefaultMode: g.mode(), Optional: optional(g, true, false)}}
}

func (g *generator) items(prefix string) []corev1.KeyToPath {
	return list(g, 0, 2, func(i int) corev1.KeyToPath {
		return corev1.KeyToPath{Key: "key", Path: fmt.Sprintf("%s/%d", prefix, i), Mode: g.mode()}
	})
}

func (g *generator) mode() *int32 { return optional[int32](g, 0o400, 0o644) }

// projected has each kind of source once, so that their paths differ.
func (g *generator) projected() corev1.VolumeSource {
	sources := []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("config"), Items: g.items("c"),
			Optional: optional(g, true, false)}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: named("secret"), Items: g.items("s"),
			Optional: optional(g, true, false)}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: g.fields()}},
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token",
			Audience: pick(g, "", "vault"), ExpirationSeconds: optional[int64](g, 600, 3600)}},
	}
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: subset(g, 0.6, sources...),
		DefaultMode: g.mode()}}
}

func (g *generator) downwardAPI() corev1.VolumeSource {
	return corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: g.fields(),
		DefaultMode: g.mode()}}
}

func (g *generator) fields() []corev1.DownwardAPIVolumeFile {
	return list(g, 0, 3, func(i int) corev1.DownwardAPIVolumeFile {
		file := corev1.DownwardAPIVolumeFile{Path: fmt.Sprintf("d/%d", i), Mode: g.mode()}
		if g.maybe(0.3) {
			// Any name is accepted; that of a container which may be left out is the interesting one.
			file.ResourceFieldRef = g.resourceField(containerName(g.between(0, 1)))
		} else {
			file.FieldRef = &corev1.ObjectFieldSelector{APIVersion: pick(g, "", "v1"),
				FieldPath: g.fieldPath(pick(g, "metadata.name", "metadata.namespace", "metadata.uid",
					"metadata.labels", "metadata.annotations"))}
		}
		return file
	})
}

func (g *generator) hostPath() corev1.VolumeSource {
	return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
		Path: pick(g, "/var/log", "/dev/null", "/run/containerd/containerd.sock"),
		Type: optional(g, corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate)}}
}

// claim names one of a few claims, so that two volumes may share one.
func (g *generator) claim() corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
		ClaimName: pick(g, claimNames()...), ReadOnly: g.maybe(0.3)}}
}

func claimNames() []string { return []string{"data", "cache", "shared"} }

func (g *generator) claimSpec() corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{pick(g, corev1.ReadWriteOnce,
			corev1.ReadWriteMany, corev1.ReadOnlyMany, corev1.ReadWriteOncePod)},
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		StorageClassName: optional(g, "fast", ""),
		VolumeMode: optional(g, corev1.PersistentVolumeFilesystem,
			corev1.PersistentVolumeBlock),
		VolumeAttributesClassName: optional(g, "gold"),
	}
}

func (g *generator) ephemeral() corev1.VolumeSource {
	spec := g.claimSpec()
	spec.Selector = some(g, 0.2, g.selector)
	if g.maybe(0.2) {
		spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: new("snapshot.storage.k8s.io"),
			Kind: "VolumeSnapshot", Name: "yesterday"}
		spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: new("snapshot.storage.k8s.io"),
			Kind: "VolumeSnapshot", Name: "yesterday"}
	}
	return corev1.VolumeSource{
		Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
			ObjectMeta: metav1.ObjectMeta{Labels: g.someLabels(), Annotations: g.someAnnotations()},
			Spec:       spec}}}
}

func (g *generator) csi() corev1.VolumeSource {
	return corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
		Driver: "secrets-store.csi.k8s.io", ReadOnly: optional(g, true, false), FSType: optional(g, "ext4"),
		VolumeAttributes: map[string]string{"secretProviderClass": "vault"},
		NodePublishSecretRef: some(g, 0.3,
			func() *corev1.LocalObjectReference { return new(named("secret")) }),
	}}
}

func (g *generator) image() corev1.VolumeSource {
	return corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example.com/models:1",
		PullPolicy: pick(g, "", corev1.PullIfNotPresent)}}
}

func (g *generator) networkVolume() corev1.VolumeSource {
	switch g.between(0, 2) {
	case 0:
		return corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "10.0.0.1",
			IQN: "iqn.2001-04.com.example:storage.disk1", Lun: 1, FSType: "ext4"}}
	case 1:
		return corev1.VolumeSource{FC: &corev1.FCVolumeSource{TargetWWNs: []string{"500a0982991b8dc5"},
			Lun: new(int32(2)), ReadOnly: g.maybe(0.3)}}
	}
	return corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs.example.com", Path: "/export",
		ReadOnly: g.maybe(0.3)}}
}

// mounts gives the container some of the pod's volumes, a few of them twice or as a device.
func (g *generator) mounts(c *corev1.Container) {
	for i, volume := range g.volumes {
		switch {
		case !g.maybe(0.6):
		case g.isBlock(volume) && g.maybe(0.4):
			c.VolumeDevices = append(c.VolumeDevices,
				corev1.VolumeDevice{Name: volume.Name, DevicePath: fmt.Sprintf("/dev/x%d", i)})
		default:
			c.VolumeMounts = append(c.VolumeMounts, g.mount(c, volume.Name, fmt.Sprintf("/mnt/%d", i)))
			if g.maybe(0.2) {
				c.VolumeMounts = append(c.VolumeMounts,
					g.mount(c, volume.Name, fmt.Sprintf("/mnt/%d/again", i)))
			}
		}
	}
}

// isBlock reports a volume that may be used as a device. It may not in a user namespace.
func (g *generator) isBlock(volume corev1.Volume) bool {
	return (volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil) && !g.host.ownUsers
}

func (g *generator) mount(c *corev1.Container, volume, path string) corev1.VolumeMount {
	m := corev1.VolumeMount{Name: volume, MountPath: path, ReadOnly: g.maybe(0.3)}
	m.MountPropagation = optional(g, corev1.MountPropagationNone, corev1.MountPropagationHostToContainer)
	if privileged(c) && g.maybe(0.3) {
		m.MountPropagation = new(corev1.MountPropagationBidirectional)
	}
	// Recursively read-only is only what is read-only and not propagated.
	if m.ReadOnly && (m.MountPropagation == nil || *m.MountPropagation == corev1.MountPropagationNone) {
		m.RecursiveReadOnly = optional(g, corev1.RecursiveReadOnlyDisabled,
			corev1.RecursiveReadOnlyIfPossible, corev1.RecursiveReadOnlyEnabled)
	}
	switch g.between(0, 4) {
	case 0:
		m.SubPath = "sub/path"
	case 1:
		m.SubPathExpr = "$(NAME_0)/logs"
	}
	return m
}
