package workload

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Cluster is how the cluster is asked. Mapper and Dynamic are for kinds that are not built in: they
// cost discovery, so they are made when they are needed.
type Cluster struct {
	Client  kubernetes.Interface
	Mapper  func() (meta.RESTMapper, error)
	Dynamic func() (dynamic.Interface, error)
}

// Query is what to look for.
type Query struct {
	Reference Reference
	Namespace string
	Container string // empty: the workload's default
	Live      bool   // a live pod is wanted: the named one, or the newest ready one of the workload

	EnforceNamespace bool   // a manifest's namespace must be the same
	Manifest         []byte // YAML or JSON: the workload is taken from here, not from the cluster
	Revision         int64  // 0: the current one
	Running          bool   // fill Workload.Running
	Ordinal          *int   // of the StatefulSet's pod whose claims are meant
}

// Resolve finds the workload and the facts about it. Its sequential round trips to the server are:
//
//  1. The workload, what the caller may do, and what in the namespace selects pods, all at once.
//     For a type that is not built in the workload waits for discovery.
//  2. The workload's pods and the claims that it mounts, at once: only where there are claims,
//     or a live pod or the running images were asked for.
//
// Before the second there is one more for a revision, for the pods of a Service that no listed
// workload stands behind, for the custom controller of a pod, and for a Rollout's workloadRef.
//
// Errors name the workload and carry the server's own words. What is only good to know does not
// fail: its error is in the Workload. When Resolve returns, nothing is under way any more.
func Resolve(ctx context.Context, cluster Cluster, q Query) (*Workload, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	s := search{Cluster: cluster, Query: q}
	if err := s.readManifest(); err != nil {
		return nil, err
	}
	t, err := s.run(ctx)
	if ctx.Err() != nil { // some facts are then missing because nobody waited for them
		return nil, ctx.Err()
	}
	return t, err
}

// check refuses what contradicts itself.
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

// search is one Resolve.
type search struct {
	Cluster
	Query
	manifest *workload // nil: it is in the cluster
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

// ask is the first round trip.
func (s *search) ask(ctx context.Context) (w workload, near neighbours, access Access, err error) {
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var asked sync.WaitGroup
	asked.Go(func() { access = askAccess(asking, s.Client, s.Namespace) })
	if !s.Live {
		asked.Go(func() { near = listSelectors(asking, s.Client, s.Namespace) })
	}
	if w, err = s.find(ctx); err != nil {
		cancel()
	}
	asked.Wait()
	return w, near, access, err
}

// find returns the workload that the Reference names, or a Service as it is.
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
		next := "list what there is: kubectl get " + k.types[1] + " -n " + s.Namespace
		if k.name == "Pod" {
			next += "; a name without a type is a pod's"
		}
		err = hint.Wrap(err, next)
	}
	return w, err
}

// complete fills what takes further round trips.
func (s *search) complete(ctx context.Context, t *Workload, w workload, near neighbours) (err error) {
	if s.Revision != 0 {
		if w.template, err = s.templateOf(ctx, w); err != nil {
			return err
		}
	}
	t.Template = w.template
	if s.Live {
		if t.Pod, t.Ready, err = s.livePod(ctx, w); err != nil {
			return err
		}
		// An ephemeral container joins the pod as it runs, whatever the template says by now.
		t.Template.ObjectMeta, t.Template.Spec = t.Pod.ObjectMeta, t.Pod.Spec
		if s.Running {
			t.Running = digests(t.Pod)
		}
		return nil
	}
	return s.askPods(ctx, t, w, near.claimants)
}
