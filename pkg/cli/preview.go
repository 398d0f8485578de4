package cli

import (
	"context"
	"encoding/json"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/run"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// preview plans a session, and describes it instead of starting it.
func (o Options) preview(ctx context.Context, request run.Request, stdout io.Writer, out *printer) error {
	planned, source, err := run.Preview(ctx, request)
	if err != nil {
		return err
	}
	if o.DryRun == DryRunNone {
		// This includes the warnings, which are separate lines elsewhere.
		return written(explain(stdout, out.headline(planned), planned.Notes,
			append(chapters(), chapter{"warnings", plan.Warning})))
	}
	pod, err := o.sent(ctx, request.Cluster.Client, planned)
	if err != nil {
		return session.Interrupted(ctx, err)
	}
	switch {
	case planned.Ephemeral == nil:
	case o.Output == "yaml" || o.Output == "json":
		out.account(planned)
		return printPatch(pod, planned, o.Output, stdout)
	default:
		pod = source.Pod
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
	return printDocument(object, printer, o.Output, stdout)
}

// sent returns the pod that would be sent or, if the server is asked, its response. In debug mode, that has
// the container that would be added.
func (o Options) sent(ctx context.Context, client kubernetes.Interface, planned *plan.Plan) (*corev1.Pod,
	error) {
	switch {
	case o.DryRun == DryRunServer:
		return session.DryRun(ctx, client, planned, o.write())
	case planned.Ephemeral == nil:
		return planned.Pod, nil
	}
	added := []corev1.EphemeralContainer{*planned.Ephemeral}
	return &corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: added}}, nil
}

// write returns how a session's pod or container is sent.
func (o Options) write() session.Write {
	return session.Write{FieldManager: o.FieldManager, FieldValidation: o.FieldValidation}
}

// printPatch prints the ephemeral container that is added or, in JSON, the whole patch that adds it.
func printPatch(pod *corev1.Pod, planned *plan.Plan, format string, out io.Writer) error {
	container := *planned.Ephemeral
	if stored := containers.Spec(pod, planned.Container); stored != nil {
		container.EphemeralContainerCommon = corev1.EphemeralContainerCommon(*stored)
	}
	content, err := json.Marshal(container)
	if format == "json" {
		content, err = ephemeral.Addition(planned.PodUID, container)
	}
	if err != nil {
		return err
	}
	return printJSON(content, format, out)
}

// printable returns the pod as a document. A pod that does not exist has no status, not an empty one.
func printable(pod *corev1.Pod) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, err
	}
	if pod.UID == "" {
		delete(content, "status")
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetManagedFields(nil) // as kubectl does
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return object, nil
}

// done returns what would have been done, worded as in kubectl.
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
