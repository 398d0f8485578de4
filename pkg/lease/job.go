package lease

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

func (t Terms) job() *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: owned.LeaseName(t.Session), Namespace: t.Namespace, Labels: owned.Labels(t.Session),
			Annotations: t.annotations(),
		},
		Spec: batchv1.JobSpec{
			Parallelism: new(int32(0)), BackoffLimit: new(int32(0)), TTLSecondsAfterFinished: new(int32(0)),
			ActiveDeadlineSeconds: new(Deadline(min(t.Length, t.TTL))),
			Template:              corev1.PodTemplateSpec{Spec: template()},
		},
	}
}

// endless says what was made of the Job on its way in, by a queue (Kueue) or a webhook, if because of
// it the Job would not end in time, or would run.
func endless(spec *batchv1.JobSpec) string {
	switch {
	case spec.Suspend != nil && *spec.Suspend:
		return "it was suspended"
	case spec.ActiveDeadlineSeconds == nil || spec.TTLSecondsAfterFinished == nil:
		return "its deadline was taken away"
	case spec.Parallelism == nil || *spec.Parallelism != 0:
		return "it was told to run pods"
	case spec.ManagedBy != nil && *spec.ManagedBy != batchv1.JobControllerName:
		return "it was given to " + *spec.ManagedBy
	}
	return ""
}

// template never runs, but policies judge it: it keeps to Pod Security "restricted", and says its
// resources.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func template() corev1.PodSpec {
	least := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"),
		corev1.ResourceMemory: resource.MustParse("1Mi")}
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false),
		EnableServiceLinks: new(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "never-runs", Image: "registry.k8s.io/pause:3.10",
			Resources: corev1.ResourceRequirements{Requests: least, Limits: least},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				RunAsNonRoot: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
}
