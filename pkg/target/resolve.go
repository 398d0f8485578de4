package target

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Query is what to look for.
type Query struct {
	Reference Reference
	Namespace string
	Container string // empty: the workload's default
	Live      bool   // a live pod is wanted: the named one, or the newest ready one of the workload
}

// Resolve fetches the workload and, at the same time, asks what the caller may do. Errors name the
// workload and carry the server's own words. When it returns, nothing is under way any more.
func Resolve(ctx context.Context, client kubernetes.Interface, q Query) (*Target, error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var access Access
	var asked sync.WaitGroup
	asked.Go(func() { access = askAccess(asking, client, q.Namespace) })
	found, err := find(ctx, client, q)
	if err != nil {
		cancel()
	}
	asked.Wait()
	if err != nil {
		return nil, err
	}
	found.Access = access
	return found, nil
}

func find(ctx context.Context, client kubernetes.Interface, q Query) (*Target, error) {
	t := &Target{Kind: q.Reference.Kind, Name: q.Reference.Name, Namespace: q.Namespace}
	k, _ := kindNamed(t.Kind)
	w, err := k.get(ctx, client, t.Namespace, t.Name)
	if apierrors.IsNotFound(err) {
		next := "what is there: kubectl get " + k.types[1] + " -n " + t.Namespace
		if k.name == "Pod" {
			next += "; a name without a type is a pod's"
		}
		return nil, hint.Errorf(next, "%s in namespace %s: %w", t, t.Namespace, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s in namespace %s: %w", t, t.Namespace, err)
	}
	t.Template, t.ClaimTemplates = w.template, w.claimTemplates
	if q.Live {
		if t.Pod, t.Ready, err = livePod(ctx, client, t.Namespace, w); err != nil {
			return nil, fmt.Errorf("%s in namespace %s: %w", t, t.Namespace, err)
		}
		// An ephemeral container joins the pod as it runs, whatever the template says by now.
		t.Template.ObjectMeta, t.Template.Spec = t.Pod.ObjectMeta, t.Pod.Spec
	}
	t.Container, err = chooseContainer(t, q.Container)
	return t, err
}
