package profile

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/cmd/debug"
)

// What each profile allows is kubectl's to say.
func TestSecurityContext(t *testing.T) {
	for _, p := range []Profile{General, Baseline, Restricted, Netadmin, Sysadmin} {
		applier, err := debug.NewProfileApplier(string(p), debug.KeepFlags{})
		if err != nil {
			t.Fatal(err)
		}
		pod := &corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}}}}
		if err := applier.Apply(pod, "debugger", pod); err != nil {
			t.Fatal(err)
		}
		want := pod.Spec.EphemeralContainers[0].SecurityContext
		if got, err := p.SecurityContext(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, error %v; kubectl's is %+v", p, got, err, want)
		}
	}
	if _, err := Profile("legacy2").SecurityContext(); err == nil {
		t.Error("an unknown profile gives no error")
	}
}
