package cli

import (
	"context"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// preview plans a session, and gives an account of it instead of starting it.
func (r *runner) preview(ctx context.Context) error {
	asked := &r.options.Plan
	asked.Preview = true
	// What is printed does not depend on where it is printed: a terminal has to be asked for.
	asked.TTY, asked.Term = r.options.Stdin && r.options.TTY != nil && *r.options.TTY, os.Getenv("TERM")
	asked.Session = rand.String(5)
	planned, err := r.plan(*asked)
	if err != nil {
		return err
	}
	if r.options.DryRun == DryRunNone {
		return written(explain(r.streams.Out, planned, fullAccount()))
	}
	return r.dryRun(ctx, planned)
}

// dryRun prints the pod as it would be, and on stderr the reasons.
func (r *runner) dryRun(ctx context.Context, planned *plan.Plan) error {
	pod, err := r.wouldBe(ctx, planned)
	if err != nil {
		return cause(ctx, err)
	}
	object, err := printable(pod)
	if err != nil {
		return err
	}
	printer, err := genericclioptions.NewPrintFlags(r.done(planned)).WithDefaultOutput(r.options.Output).ToPrinter()
	if err != nil {
		return err
	}
	r.out.account(planned)
	return written(printer.PrintObj(object, r.streams.Out))
}

// wouldBe is the pod that is sent or, where the server is asked, its answer.
func (r *runner) wouldBe(ctx context.Context, planned *plan.Plan) (*corev1.Pod, error) {
	switch {
	case r.options.DryRun == DryRunServer:
		return session.DryRun(ctx, r.cluster.Client, planned)
	case planned.Ephemeral == nil:
		return planned.Pod, nil
	}
	pod := r.workload.Pod.DeepCopy()
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
func (r *runner) done(planned *plan.Plan) string {
	done := "created"
	if planned.Ephemeral != nil {
		done = "patched"
	}
	if r.options.DryRun == DryRunServer {
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
