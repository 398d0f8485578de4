package session

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// TestWarnings: the newest of what the session waits for; the troubles of others are not the reason.
func TestWarnings(t *testing.T) {
	event := func(name, reason, path, message string, age time.Duration) *corev1.Event {
		return &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name},
			InvolvedObject: corev1.ObjectReference{UID: "1", FieldPath: path},
			Reason:         reason, Message: message,
			LastTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age)),
		}
	}
	other := event("z", "FailedMount", "", "of another pod of that name", 0)
	other.InvolvedObject.UID = "2"
	client := fake.NewClientset(other,
		event("a", "Failed", "spec.ephemeralContainers{eshell-x}", "no such image", 4*time.Minute),
		event("b", "Failed", "spec.ephemeralContainers{eshell-x}", "still no such image", 3*time.Minute),
		event("c", "Failed", "spec.ephemeralContainers{eshell-x}", "Error: ErrImagePull", 2*time.Minute),
		event("d", "Unhealthy", "spec.containers{app}", "readiness probe failed", time.Minute),
		event("e", "FailedToRetrieveImagePullSecret", "", "no secret", 3*time.Minute),
		event("f", "FailedMount", "", "no volume", 2*time.Minute),
		event("g", "FailedScheduling", "", "no node", time.Minute))
	tests := []struct{ subject, want string }{{"", "no volume"}, {"app", "readiness probe failed"},
		{"eshell-x", "still no such image"}, {"eshell-y", ""}}
	s := &session{Config: Config{Client: client}, uid: "1", plan: &plan.Plan{Namespace: "shop"}}
	for _, tt := range tests {
		if got := s.lastWarning(t.Context(), tt.subject); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.subject, got, tt.want)
		}
	}
	noImage := diagnosis.Status{Err: errors.New("no image"), Retrying: true}
	if got := said(s.notStarted(t.Context(), noImage)); got != "pod/ did not start: no image: no secret" {
		t.Errorf("pull secret: %q", got)
	}
}
