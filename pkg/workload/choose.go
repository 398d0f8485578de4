package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
)

// mostListed is how many workloads of a type a person chooses from: enough for any namespace, and little
// enough to be held.
const mostListed = 10_000

// unowned selects the pods that none of the kinds in List has made: their controllers label those.
func unowned() string {
	return strings.Join([]string{notOurs, "!" + appsv1.DefaultDeploymentUniqueLabelKey,
		"!" + appsv1.ControllerRevisionHashLabelKey, "!" + batchv1.JobNameLabel, "!job-name"}, ",")
}

// List lists what a person chooses from in a namespace: its workloads, and its pods. Of the pods it lists
// those that none of the workloads has made, or all if a live one is wanted, or none if a workload is. It
// makes one request per type, all at once. What could not be listed is in unread, in the server's words.
func (c Cluster) List(ctx context.Context, namespace string, live, pods bool) (all []Choice, unread []error) {
	types := []string{"deploy", "sts", "ds", "cronjob", "job"}
	if pods {
		types = append(types, "pod")
	}
	found, errs := make([][]Choice, len(types)), make([]error, len(types))
	var asked sync.WaitGroup
	for n, typ := range types {
		k, _ := kindNamed(typ)
		w := wanted{namespace: namespace, selector: notOurs, most: mostListed}
		if typ == "pod" && !live {
			w.selector = unowned()
		}
		asked.Go(func() {
			if found[n], errs[n] = c.choices(ctx, k, w); errs[n] == nil && len(found[n]) == mostListed {
				errs[n] = fmt.Errorf("only the first %d %s are listed", mostListed, k.types[1])
			}
		})
	}
	asked.Wait()
	return slices.Concat(found...), slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// ContainerChoice is one of a workload's containers.
type ContainerChoice struct{ Name, Image string }

// Containers returns the containers of a workload among which there is a choice: those of its template, and
// its sidecars. There are none if the template has only one, or says which one is meant by default. It makes
// one request.
func (c Cluster) Containers(ctx context.Context, namespace string, of Choice) ([]ContainerChoice, error) {
	if len(of.Images) == 1 {
		return nil, nil
	}
	s := search{Cluster: c, Query: Query{Reference: of.Reference(), Namespace: namespace}}
	w, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	spec := w.template.Spec
	var choices []ContainerChoice
	for _, container := range spec.Containers {
		if container.Name == w.template.Annotations[defaultContainerAnnotation] {
			return nil, nil
		}
		choices = append(choices, ContainerChoice{container.Name, container.Image})
	}
	if len(choices) < 2 {
		return nil, nil
	}
	for _, init := range spec.InitContainers {
		if containers.IsSidecar(init) {
			choices = append(choices, ContainerChoice{init.Name, init.Image})
		}
	}
	return choices, nil
}

// Reference names the workload.
func (c Choice) Reference() Reference { return Reference{Kind: c.Kind, Name: c.Name} }

// String returns the short TYPE/NAME.
func (c Choice) String() string { return c.Type + "/" + c.Name }
