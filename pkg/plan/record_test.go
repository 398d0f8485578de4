package plan

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

func TestRecord(t *testing.T) {
	tests := []struct {
		mode           Mode
		pod, container string
	}{
		{ModeClone, "api-eshell-x7k2p", "app"},
		{ModeDebug, "api-0", "eshell-x7k2p"},
	}
	for _, tt := range tests {
		found := &workload.Workload{
			Kind: "Deployment", Name: "api", Container: "app", Access: workload.Access{User: "ada"},
			Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api-0"}},
		}
		want := map[string]string{
			owned.ModeAnnotation: string(tt.mode), owned.PodAnnotation: tt.pod,
			owned.ContainerAnnotation:  tt.container,
			owned.SourceKindAnnotation: "Deployment", owned.SourceNameAnnotation: "api",
			owned.UserAnnotation: "ada", owned.ReasonAnnotation: "incident 12",
		}
		if got := Record(tt.mode, found,
			options(func(o *Options) { o.Reason = "incident 12" })); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", tt.mode, got, want)
		}
	}
}
