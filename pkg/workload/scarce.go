package workload

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// mostGets is how many objects are fetched one by one, and all at once. If more are missing, all are listed.
const mostGets = 10

// scarce describes a resource of which a namespace can have thousands of objects, and few that matter: old
// revisions of Deployments, Jobs that have finished.
type scarce struct {
	group, resource string // of version v1
	// columns are those of the resource's Table that show whether an object matters. The first is the name.
	columns []string
	matters func(cells []string) bool
	// likely selects, on the server, objects that matter. It need not select all of them, nor only them.
	likely metav1.ListOptions
}

// scarceReplicaSets are those whose selectors do not require pod-template-hash, as those of Deployments do.
// The label is also on the ReplicaSets of Deployments themselves, but a copy of one has it too.
func scarceReplicaSets() scarce {
	return scarce{
		group: "apps", resource: "replicasets", columns: []string{"Name", "Selector"},
		likely: metav1.ListOptions{LabelSelector: "!" + appsv1.DefaultDeploymentUniqueLabelKey},
		matters: func(cells []string) bool {
			return !requires(cells[1], appsv1.DefaultDeploymentUniqueLabelKey)
		},
	}
}

// scarceJobs are those that have not finished, except for leases. The Table also shows the leases that
// sessions take at this moment. A Job counts as a lease only if its selector was generated, so that it adopts
// nothing whatever else it is.
func scarceJobs() scarce {
	return scarce{
		group: "batch", resource: "jobs",
		columns: []string{"Name", "Status", "Containers", "Selector"},
		likely: metav1.ListOptions{FieldSelector: "status.successful=0",
			LabelSelector: owned.ManagedByLabel + "!=" + owned.ManagedBy},
		matters: func(cells []string) bool {
			finished := cells[1] == string(batchv1.JobComplete) || cells[1] == string(batchv1.JobFailed)
			isLease := cells[2] == lease.NeverRuns && requires(cells[3], batchv1.ControllerUidLabel)
			return !finished && !isLease
		},
	}
}

// requires reports whether a selector requires one value of the label key. The selector is text, as
// metav1.FormatLabelSelector has written it. No value in it has a comma or an equals sign. If a selector
// requires the label in another way, or the text is <none> or <error>, the object is read to judge that.
func requires(selector, key string) bool {
	for term := range strings.SplitSeq(selector, ",") {
		if strings.HasPrefix(term, key+"=") {
			return true
		}
	}
	return false
}

// lister is what the client of a resource has.
type lister[O, L runtime.Object] interface {
	Get(context.Context, string, metav1.GetOptions) (O, error)
	List(context.Context, metav1.ListOptions) (L, error)
}

// listedScarcely lists the objects of a resource that matter. In the one round trip of all listings it reads
// a Table of all objects, and the objects that are likely to matter. What the Table shows to matter and is
// not among these takes a second one. Without a Table it lists all objects.
func listedScarcely[O, L runtime.Object](s scarce, tables rest.Interface, namespace string,
	client lister[O, L]) listing {
	return listing{s.resource + "." + s.group, func(ctx context.Context, near *neighbours) error {
		if tables == nil {
			return listAll(ctx, client, near)
		}
		var names []string
		var likely L
		var tableErr, listErr error
		var asked sync.WaitGroup
		asked.Go(func() {
			names, tableErr = s.mattering(ctx, tables, namespace)
		})
		asked.Go(func() {
			options := s.likely
			options.ResourceVersion = "0"
			likely, listErr = client.List(ctx, options)
		})
		asked.Wait()
		if errors.Is(tableErr, errNoTable) {
			return listAll(ctx, client, near)
		}
		if err := errors.Join(listErr, tableErr); err != nil {
			return err
		}
		missing, err := without(names, likely)
		if err != nil {
			return err
		}
		if len(missing) > mostGets {
			return listAll(ctx, client, near)
		}
		if err := meta.EachListItem(likely, near.take); err != nil {
			return err
		}
		return getEach(ctx, client, missing, near)
	}}
}

// mattering returns the names of the objects that matter.
func (s scarce) mattering(ctx context.Context, tables rest.Interface, namespace string) (names []string,
	err error) {
	t := table{group: s.group, namespace: namespace, resource: s.resource, columns: s.columns}
	err = listTable(ctx, tables, t, func(cells []string) bool {
		if s.matters(cells) {
			names = append(names, cells[0])
		}
		return true
	})
	return names, err
}

// without returns the names of objects that are not in the list.
func without(names []string, list runtime.Object) ([]string, error) {
	listed := map[string]bool{}
	there, err := namesIn(list)
	for _, name := range there {
		listed[name] = true
	}
	return slices.DeleteFunc(names, func(name string) bool { return listed[name] }), err
}

// getEach gets all objects at once, in one round trip. What is not there any more does not matter.
func getEach[O, L runtime.Object](ctx context.Context, client lister[O, L], names []string,
	near *neighbours) error {
	objects, errs := make([]O, len(names)), make([]error, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { objects[i], errs[i] = client.Get(ctx, name, metav1.GetOptions{}) })
	}
	asked.Wait()
	for i, object := range objects {
		if apierrors.IsNotFound(errs[i]) {
			continue
		}
		if errs[i] != nil {
			return errs[i]
		}
		if err := near.take(object); err != nil {
			return err
		}
	}
	return nil
}

// listAll lists all objects, in pages so that few are in memory at a time. The API server's cache has no
// pages, so they are not read from there.
func listAll[O, L runtime.Object](ctx context.Context, client lister[O, L], near *neighbours) error {
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return client.List(ctx, options)
	})
	pages.PageBufferSize = 0
	return pages.EachListItem(ctx, metav1.ListOptions{}, near.take)
}
