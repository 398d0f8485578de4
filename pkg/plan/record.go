package plan

import (
	"fmt"
	"maps"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Record is what a session's lease says of it: the mode, what it was made from, where its shell is,
// who opened it and why.
func Record(mode Mode, t *workload.Workload, o Options) map[string]string {
	pod, container := owned.PodName(t.Name, o.Session), t.Container
	if mode == ModeDebug {
		pod, container = t.Pod.Name, owned.ContainerName(o.Session)
	}
	record := map[string]string{owned.ModeAnnotation: string(mode), owned.PodAnnotation: pod,
		owned.ContainerAnnotation: container}
	maps.Copy(record, owned.Annotations(t.Kind, t.Name))
	maps.Copy(record, owned.Who(t.Access.User, o.Reason))
	return record
}

// unleased notes that there is no lease, and what follows.
func (o Options) unleased(consequence string) []Note {
	if o.NoLease == nil {
		return nil
	}
	return []Note{{Changed, "no lease", fmt.Sprintf("%s: %v", consequence, o.NoLease)}}
}
