package podgen

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func classes() Classes { return Classes{Priority: "low", Runtime: "runc"} }

func TestSameSeed(t *testing.T) {
	for seed := range uint64(200) {
		if a, b := New(seed, "shop", classes()), New(seed, "shop", classes()); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d makes two cases", seed)
		}
	}
}

// Every field of the API is set by some case, but for those that are named here.
func TestFields(t *testing.T) {
	seen, all := fields{}, fields{}
	for seed := range uint64(3000) {
		c := New(seed, "shop", classes())
		seen.walk(reflect.ValueOf(c.Target.Template))
	}
	all.declared(reflect.TypeFor[corev1.PodTemplateSpec]())
	for _, field := range sortedKeys(all) {
		reason, left := leftOut(field)
		switch {
		case seen[field] && left:
			t.Errorf("%s is set; it was to be left out: %s", field, reason)
		case !seen[field] && !left:
			t.Errorf("no case sets %s", field)
		}
	}
}

// leftOut are fields that no case sets, by prefix, with the reason.
func leftOut(field string) (string, bool) {
	const (
		newer    = "Kubernetes 1.36 does not know it"
		gated    = "its feature is off by default"
		windows  = "of Windows pods"
		replaced = "a storage system whose volumes are claims now"
		server   = "set by the server on other objects"
		whole    = "a volume is taken whole"
		debug    = "an ephemeral container has none"
	)
	table := []struct{ prefix, reason string }{
		{"PodSpec.EvictionResponders", newer}, {"EvictionResponder.", newer},
		{"VolumeMount.BindMountOptions", newer},
		{"ConfigMapVolumeSource.DefaultUser", newer}, {"SecretVolumeSource.DefaultUser", newer},
		{"DownwardAPIVolumeSource.DefaultUser", newer},
		{"ProjectedVolumeSource.DefaultUser", newer}, {"KeyToPath.User", newer},
		{"DownwardAPIVolumeFile.User", newer},
		{"ServiceAccountTokenProjection.User", newer}, {"EmptyDirVolumeSource.Mode", newer},
		{"GRPCAction.Mode", newer}, {"HTTPGetAction.Protocol", newer},
		{"PodSpec.SchedulingGroup", gated}, {"PodSchedulingGroup.", gated}, {"Lifecycle.StopSignal", gated},
		{"VolumeProjection.ClusterTrustBundle", gated}, {"ClusterTrustBundleProjection.", gated},
		{"VolumeProjection.PodCertificate", gated}, {"PodCertificateProjection.", gated},
		{"WindowsSecurityContextOptions.", windows}, {"PodSecurityContext.WindowsOptions", windows},
		{"SecurityContext.WindowsOptions", windows},
		{"ObjectMeta.Deletion", server}, {"ObjectMeta.SelfLink", server}, {"ObjectMeta.Namespace", server},
		{"OwnerReference.BlockOwnerDeletion", server},
		{"ManagedFieldsEntry.FieldsType", server}, {"ManagedFieldsEntry.FieldsV1", server},
		{"ManagedFieldsEntry.Subresource", server}, {"ManagedFieldsEntry.Time", server},
		{"FieldsV1.", server},
		{"EphemeralContainerCommon.Lifecycle", debug}, {"EphemeralContainerCommon.LivenessProbe", debug},
		{"EphemeralContainerCommon.ReadinessProbe", debug},
		{"EphemeralContainerCommon.StartupProbe", debug}, {"EphemeralContainerCommon.Ports", debug},
		{"EphemeralContainerCommon.Res", debug},
		{"FCVolumeSource.FSType", whole}, {"FCVolumeSource.WWIDs", whole},
		{"ISCSIVolumeSource.DiscoveryCHAPAuth", whole},
		{"ISCSIVolumeSource.ISCSIInterface", whole}, {"ISCSIVolumeSource.InitiatorName", whole},
		{"ISCSIVolumeSource.Portals", whole},
		{"ISCSIVolumeSource.ReadOnly", whole}, {"ISCSIVolumeSource.SecretRef", whole},
		{"ISCSIVolumeSource.SessionCHAPAuth", whole},
		{"PersistentVolumeClaimSpec.VolumeName", "a template's claims are many"},
		{"TypedObjectReference.Namespace", gated},
		{"VolumeResourceRequirements.Limits", "no storage system limits"},
	}
	for _, source := range []string{"GCEPersistentDisk", "AWSElasticBlockStore", "GitRepo", "Glusterfs",
		"RBD", "Flex", "Cinder", "CephFS",
		"Flocker", "AzureFile", "VsphereVolume", "VsphereVirtualDisk", "Quobyte", "AzureDisk",
		"PhotonPersistentDisk", "Portworx", "ScaleIO", "StorageOS"} {
		table = append(table, struct{ prefix, reason string }{"VolumeSource." + source, replaced},
			struct{ prefix, reason string }{source, replaced})
	}
	for _, row := range table {
		if strings.HasPrefix(field, row.prefix) {
			return row.reason, true
		}
	}
	return "", false
}

// fields are names of struct fields: Type.Field.
type fields map[string]bool

func (f fields) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			f.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			f.walk(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() && !v.Field(i).IsZero() {
				f[v.Type().Name()+"."+field.Name] = true
				f.walk(v.Field(i))
			}
		}
	}
}

// declared adds all that walk may find in a value of the type.
func (f fields) declared(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		f.declared(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			name := t.Name() + "." + field.Name
			if field.IsExported() && !f[name] {
				f[name] = true
				f.declared(field.Type)
			}
		}
	}
}

// What is around often selects the source: else there would be nothing to give up.
func TestSelectorsMeet(t *testing.T) {
	matched := map[string]int{}
	for seed := range uint64(1000) {
		c := New(seed, "shop", classes())
		for _, s := range c.Target.NamespaceState.Selectors {
			if s.Match.Matches(labels.Set(c.Pod.Labels)) {
				matched[s.Kind]++
			}
		}
	}
	for _, kind := range []string{"Service", "PodDisruptionBudget", "Deployment", "StatefulSet", "ReplicaSet",
		"ReplicationController"} {
		if matched[kind] < 20 {
			t.Errorf("in 1000 cases a %s selects the source %d times", kind, matched[kind])
		}
	}
}
