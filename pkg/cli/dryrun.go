package cli

import (
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/run"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// preview plans a session, and gives an account of it instead of starting it.
func (o Options) preview(ctx context.Context, request run.Request, stdout io.Writer, out *printer) error {
	planned, source, err := run.Preview(ctx, request)
	if err != nil {
		return err
	}
	if o.DryRun == DryRunNone {
		return written(explain(stdout, planned, fullAccount()))
	}
	pod, err := o.previewPod(ctx, request.Cluster.Client, planned, source)
	if err != nil {
		return session.Interrupted(ctx, err)
	}
	object, err := printable(pod)
	if err != nil {
		return err
	}
	printer, err := genericclioptions.NewPrintFlags(o.done(planned)).WithDefaultOutput(o.Output).ToPrinter()
	if err != nil {
		return err
	}
	out.account(planned)
	return written(printer.PrintObj(object, stdout))
}

// previewPod is the pod that is sent or, where the server is asked, its answer.
func (o Options) previewPod(ctx context.Context, client kubernetes.Interface, planned *plan.Plan,
	source *workload.Workload) (*corev1.Pod, error) {
	switch {
	case o.DryRun == DryRunServer:
		return session.DryRun(ctx, client, planned)
	case planned.Ephemeral == nil:
		return planned.Pod, nil
	}
	pod := source.Pod.DeepCopy()
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, *planned.Ephemeral)
	return pod, nil
}

// printable is the pod as a document. A pod that exists nowhere has no status, not an empty one.
func printable(pod *corev1.Pod) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, err
	}
	if pod.UID == "" {
		delete(content, "status")
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return object, nil
}

// done is what would have been done, in kubectl's words.
func (o Options) done(planned *plan.Plan) string {
	done := "created"
	if planned.Ephemeral != nil {
		done = "patched"
	}
	if o.DryRun == DryRunServer {
		return done + " (server dry run)"
	}
	return done + " (dry run)"
}

// written names the direction in an error of the output.
func written(err error) error {
	if err == nil {
		return nil
	}
	return &stream.OutputError{Err: err}
}
