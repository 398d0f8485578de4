package workload

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Cluster holds the clients of a cluster. Mapper and Dynamic are for kinds that are not built in. They are
// made only when they are needed, because they require discovery.
type Cluster struct {
	Client kubernetes.Interface
	// Tables is for Tables of the built-in kinds, by their full paths. If it is nil, objects are listed
	// instead.
	Tables  rest.Interface
	Mapper  func() (meta.RESTMapper, error)
	Dynamic func() (dynamic.Interface, error)
}

// Query specifies what to look for.
type Query struct {
	Reference Reference
	Namespace string
	Container string // empty for the workload's default
	Preview   bool   // nothing will be created: ask what the caller is allowed to do
	Live      bool   // look for a live pod: the named one, or one of the workload
	// PodSelection is which one of the workload.
	PodSelection PodSelection

	EnforceNamespace bool   // a manifest's namespace must be the same as Namespace
	Manifest         []byte // YAML or JSON from which the workload is taken, instead of from the cluster
	Revision         int64  // 0 for the current one
	Running          bool   // fill Workload.Running
	Ordinal          *int   // the ordinal of the StatefulSet's pod whose claims are used
}

// Resolve finds the workload and the facts about it. It makes these sequential round trips to the server:
//
//  1. The workload, the caller's permissions, and what selects pods in the namespace, all at once. The
//     workload waits for discovery if its type is not built in.
//  2. The workload's pods and the claims that it mounts, at once. This happens only if there are claims, or
//     if a live pod or the running images were requested.
//
// Before the second round trip there is one more for a revision, for the pods of a Service that no listed
// workload stands behind, for the custom controller of a pod, and for a Rollout's workloadRef.
//
// Errors name the workload and contain the server's own message. If a fact is only good to know, Resolve does
// not fail without it, and its error is in the Workload. No request is still running when Resolve returns.
func Resolve(ctx context.Context, cluster Cluster, q Query) (*Workload, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	s := search{Cluster: cluster, Query: q}
	if err := s.readManifest(); err != nil {
		return nil, err
	}
	t, err := s.run(ctx)
	if ctx.Err() != nil { // some facts are then missing, because their requests were canceled
		return nil, ctx.Err()
	}
	return t, err
}

// check refuses a query that contradicts itself.
func (q Query) check() error {
	switch {
	case q.Live && q.Manifest != nil:
		return hint.Wrap(fmt.Errorf("a manifest has no running pods to debug"),
			"leave out --mode debug for a clone")
	case q.Revision != 0 && q.Manifest != nil:
		return fmt.Errorf("a manifest has no revisions")
	case q.Revision != 0 && q.Live:
		return hint.Wrap(fmt.Errorf("a revision is of the pod template, not of a running pod"),
			"leave out --mode debug for a clone")
	case q.Revision != 0 && q.Running:
		return fmt.Errorf("revision %d was asked for, and the images that run now", q.Revision)
	}
	return nil
}

// search is one call of Resolve.
type search struct {
	Cluster
	Query
	manifest *workload // nil if the workload is in the cluster
}

func (s *search) run(ctx context.Context) (*Workload, error) {
	w, near, access, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	if w.service != nil {
		if w, err = s.behind(ctx, w, near.workloads); err != nil {
			return nil, fmt.Errorf("%s in namespace %s: %w", s.Reference, s.Namespace, err)
		}
	}
	t := &Workload{Kind: w.kind, Name: w.meta.Name, Namespace: s.Namespace, Access: access,
		Indexed: w.indexed, FirstOrdinal: w.firstOrdinal, ClaimTemplates: w.claimTemplates}
	if !s.Live {
		near.include(w)
		s.includeOwner(ctx, w, &near)
		t.NamespaceState = near.NamespaceState
	}
	if err := s.complete(ctx, t, w, near); err != nil {
		return nil, fmt.Errorf("%s in namespace %s: %w", t, t.Namespace, err)
	}
	t.Container, err = chooseContainer(t, s.Container)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ask makes the first round trip.
func (s *search) ask(ctx context.Context) (w workload, near neighbours, access Access, err error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var asked sync.WaitGroup
	asked.Go(func() { access = askAccess(asking, s.Client, s.Namespace, s.Preview) })
	if !s.Live {
		asked.Go(func() { near = listSelectors(asking, s.Cluster, s.Namespace) })
	}
	if w, err = s.find(ctx); err != nil {
		cancel()
	}
	asked.Wait()
	return w, near, access, err
}

// find returns the workload that the Reference names. It returns a Service itself, not the workload behind
// it.
func (s *search) find(ctx context.Context) (workload, error) {
	if s.manifest != nil {
		return *s.manifest, nil
	}
	k, ok := kindNamed(s.Reference.Kind)
	if !ok {
		return s.findCustom(ctx)
	}
	w, err := k.get(ctx, s.Client, s.Namespace, s.Reference.Name)
	if err != nil {
		err = fmt.Errorf("%s in namespace %s: %w", s.Reference, s.Namespace, err)
	}
	if apierrors.IsNotFound(err) {
		err = hint.Wrap(err, s.suggest(ctx, k))
	}
	return w, err
}

// complete fills in what takes further round trips.
func (s *search) complete(ctx context.Context, t *Workload, w workload, near neighbours) (err error) {
	if s.Revision != 0 {
		if w.template, err = s.templateOf(ctx, w); err != nil {
			return err
		}
	}
	t.Template = w.template
	if s.Live {
		if t.Pod, t.Selected, err = s.livePod(ctx, w); err != nil {
			return err
		}
		// An ephemeral container joins the pod as it runs, even if the template has changed since.
		t.Template.ObjectMeta, t.Template.Spec = t.Pod.ObjectMeta, t.Pod.Spec
		if s.Running {
			t.Running = digests(t.Pod)
		}
		return nil
	}
	return s.askPods(ctx, t, w, near.claimants)
}
