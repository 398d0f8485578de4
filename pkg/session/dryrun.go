package session

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// DryRun sends what Run would create, for the server to judge but not to keep, and returns the pod
// as the server would have it. It is stricter than Run: a field that the server does not know is an
// error. It needs the permissions that Run needs to create.
func DryRun(ctx context.Context, client kubernetes.Interface, p *plan.Plan) (*corev1.Pod, error) {
	pods := client.CoreV1().Pods(p.Namespace)
	if p.Ephemeral != nil {
		pod, err := ephemeral.New(pods).Try(ctx, p.PodName, p.PodUID, *p.Ephemeral)
		return pod, withProposal(p, err)
	}
	pod, err := pods.Create(ctx, p.Pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, withProposal(p, fmt.Errorf("create pod/%s in namespace %s: %w", p.PodName, p.Namespace, err))
	}
	return pod, nil
}
