package podgen

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// template is valid in every workload with the restart policy. With probability controlled it has each
// of the labels that only pods have. Its containers may mount the claims,
// which are not among its volumes.
func (g *generator) template(restart corev1.RestartPolicy, controlled float64,
	claims ...corev1.PersistentVolumeClaim) corev1.PodTemplateSpec {
	g.restart, g.host, g.grace = restart, g.hostNamespaces(), pick[int64](g, 0, 30, 3600)
	g.labels, g.annotations = g.someLabels(), g.someAnnotations()
	// A controller selects by a label, and gives some to pods.
	g.labels["app"] = pick(g, values()...)
	for _, key := range subset(g, controlled, sortedKeys(given())...) {
		g.labels[key] = given()[key]
	}
	g.claims = subset(g, 0.2, "gpu", "nic")
	volumes := g.someVolumes()
	g.volumes = withClaims(volumes, claims)
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: g.labels, Annotations: g.annotations},
		Spec: g.spec()}
	t.Spec.Volumes = volumes
	g.annotateContainers(&t)
	return t
}

func (g *generator) spec() corev1.PodSpec {
	spec := corev1.PodSpec{
		RestartPolicy:                 g.restart,
		InitContainers:                list(g, 0, 3, g.initContainer),
		Containers:                    list(g, 1, 4, g.mainContainer),
		TerminationGracePeriodSeconds: new(g.grace),
		SecurityContext:               some(g, 0.6, g.podSecurity),
		AutomountServiceAccountToken:  optional(g, true, false),
		ImagePullSecrets: some(g, 0.3,
			func() []corev1.LocalObjectReference { return []corev1.LocalObjectReference{named("pull")} }),
		ReadinessGates: g.gates(),
		ResourceClaims: g.resourceClaims(),
		Resources:      some(g, 0.2, g.podResources),
	}
	if g.maybe(0.4) {
		spec.ServiceAccountName = ServiceAccount
		spec.DeprecatedServiceAccount = pick(g, "", ServiceAccount)
	}
	if g.maybe(0.2) {
		spec.OS = &corev1.PodOS{Name: corev1.Linux}
	}
	g.schedule(&spec)
	g.network(&spec)
	return spec
}

// withClaims is what a StatefulSet's controller makes of volumes: a claim replaces a volume of its
// name.
func withClaims(volumes []corev1.Volume, claims []corev1.PersistentVolumeClaim) []corev1.Volume {
	all := slices.Clone(volumes)
	for _, claim := range claims {
		all = slices.DeleteFunc(all, func(v corev1.Volume) bool { return v.Name == claim.Name })
		all = append(all, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" +
				Name + "-0"}}})
	}
	return all
}

// live adds what a server and its controllers add to a pod, and a debug session of somebody.
func (g *generator) live(t *corev1.PodTemplateSpec) {
	t.Name = Name
	g.lived(&t.ObjectMeta)
	g.mountToken(&t.Spec)
	t.Spec.NodeName, t.Spec.SchedulingGates = Node, nil
	if g.maybe(0.2) {
		t.Spec.NodeName = ""
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		t.Spec.Tolerations = append(t.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
			TolerationSeconds: new(int64(300))})
	}
	t.Spec.Priority, t.Spec.PreemptionPolicy = new(int32(0)), new(corev1.PreemptLowerPriority)
	if t.Spec.PriorityClassName != "" {
		t.Spec.Priority, t.Spec.PreemptionPolicy = new(int32(priority)), new(corev1.PreemptNever)
	}
	if t.Spec.RuntimeClassName != nil {
		t.Spec.Overhead = overhead()
	}
	t.Spec.EphemeralContainers = list(g, 0, 1, g.debugger)
}

func (g *generator) debugger(i int) corev1.EphemeralContainer {
	c := g.container(fmt.Sprintf("debugger-%d", i))
	c.Ports, c.Resources = nil, corev1.ResourceRequirements{}
	for j := range c.VolumeMounts {
		c.VolumeMounts[j].SubPath, c.VolumeMounts[j].SubPathExpr = "", ""
	}
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(c),
		TargetContainerName: containerName(0)}
}

func (g *generator) mountToken(spec *corev1.PodSpec) {
	const name = "kube-api-access-x7b2k"
	spec.Volumes = append(spec.Volumes,
		corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token",
					ExpirationSeconds: new(int64(3607))}},
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("kube-root-ca.crt"),
					Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			},
		}}})
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts,
				corev1.VolumeMount{Name: name, ReadOnly: true,
					MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"})
		}
	}
}

const priority = -7

func overhead() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("16Mi")}
}

// Objects are the classes themselves, to be created before the cases that name them.
func (c Classes) Objects() (*schedulingv1.PriorityClass, *nodev1.RuntimeClass) {
	return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: c.Priority}, Value: priority,
			PreemptionPolicy: new(corev1.PreemptNever)},
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: c.Runtime}, Handler: "runc",
			Overhead: &nodev1.Overhead{PodFixed: overhead()}}
}
