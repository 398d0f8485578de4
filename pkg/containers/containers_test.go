package containers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestFind: a container of any kind is found by its name, in the spec and in the status.
func TestFind(t *testing.T) {
	status := func(name string) []corev1.ContainerStatus { return []corev1.ContainerStatus{{Name: name}} }
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init"}},
			Containers:     []corev1.Container{{Name: "other"}, {Name: "app"}},
			EphemeralContainers: []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
			},
		},
		Status: corev1.PodStatus{
			InitContainerStatuses: status("init"), ContainerStatuses: status("app"),
			EphemeralContainerStatuses: status("debug"),
		},
	}
	for _, name := range []string{"init", "app", "debug"} {
		if c := Spec(pod, name); c == nil || c.Name != name {
			t.Errorf("the spec of %s is %+v", name, c)
		}
		if s := Status(pod, name); s == nil || s.Name != name {
			t.Errorf("the status of %s is %+v", name, s)
		}
	}
	if Spec(pod, "none") != nil || Status(pod, "none") != nil || Status(pod, "other") != nil {
		t.Error("one is found that is not there")
	}
}

// TestIsSidecar: an init container that is always restarted runs beside the others.
func TestIsSidecar(t *testing.T) {
	for policy, want := range map[corev1.ContainerRestartPolicy]bool{
		corev1.ContainerRestartPolicyAlways: true, corev1.ContainerRestartPolicyNever: false,
	} {
		if got := IsSidecar(corev1.Container{RestartPolicy: &policy}); got != want {
			t.Errorf("%s: %t", policy, got)
		}
	}
	if IsSidecar(corev1.Container{}) {
		t.Error("one without a policy is none")
	}
}
