package session

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// TestLastWarning: the newest of the session's own, in a clone by its UID, in a pod that was there
// before by its container; the application's troubles are not the reason.
func TestLastWarning(t *testing.T) {
	event := func(name, path, message string, age time.Duration) *corev1.Event {
		return &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name},
			InvolvedObject: corev1.ObjectReference{UID: "1", FieldPath: path},
			Message:        message, LastTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age)),
		}
	}
	other := event("d", "", "of another pod of that name", 0)
	other.InvolvedObject.UID = "2"
	client := fake.NewClientset(
		event("a", "spec.ephemeralContainers{eshell-x}", "no such image", 3*time.Minute),
		event("b", "spec.ephemeralContainers{eshell-x}", "still no such image", 2*time.Minute),
		event("c", "spec.containers{app}", "readiness probe failed", time.Minute), other)
	ephemeral := &corev1.EphemeralContainer{}
	tests := []struct {
		name string
		s    *session
		want string
	}{
		{"clone", &session{uid: "1", plan: &plan.Plan{Namespace: "shop"}}, "readiness probe failed"},
		{"debug", &session{plan: &plan.Plan{Namespace: "shop", Container: "eshell-x", Ephemeral: ephemeral}}, "still no such image"},
		{"none", &session{plan: &plan.Plan{Namespace: "shop", Container: "eshell-y", Ephemeral: ephemeral}}, ""},
	}
	for _, tt := range tests {
		tt.s.Client = client
		if got := tt.s.lastWarning(t.Context()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
