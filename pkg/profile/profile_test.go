package profile

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What each profile allows is kubectl's to say; that it adds no more than its name promises is ours to see.
func TestSecurityContext(t *testing.T) {
	adds := map[Profile][]corev1.Capability{General: {"SYS_PTRACE"}, Baseline: nil, Restricted: nil,
		Netadmin: {"NET_ADMIN", "NET_RAW"}, Sysadmin: nil}
	for p, want := range adds {
		got, err := p.SecurityContext()
		if err != nil {
			t.Fatal(err)
		}
		var added []corev1.Capability
		privileged := false
		if got != nil {
			privileged = got.Privileged != nil && *got.Privileged
			if got.Capabilities != nil {
				added = got.Capabilities.Add
			}
		}
		if !reflect.DeepEqual(added, want) || privileged != (p == Sysadmin) {
			t.Errorf("%s: adds %v, privileged %t", p, added, privileged)
		}
	}
	if _, err := Profile("legacy2").SecurityContext(); err == nil {
		t.Error("an unknown profile gives no error")
	}
}
