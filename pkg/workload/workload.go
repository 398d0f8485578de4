// Package workload finds out what the user meant: it turns the words "deploy/api -c app" into facts
// about one workload. It only reads; what to do with the facts is the plan's business.
package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
)

// Workload is one workload as it was found in the cluster. Nothing may change it.
type Workload struct {
	Kind      string // as in the API: "Deployment"
	Name      string
	Namespace string

	// Template is what the workload's controller makes pods from, with its metadata. For a pod it
	// is the live pod's own spec.
	Template corev1.PodTemplateSpec
	// ClaimTemplates are a StatefulSet's volumeClaimTemplates; the pod template does not have them.
	ClaimTemplates []corev1.PersistentVolumeClaim

	// Pod is the live pod, or nil where none was asked for. Ready says of how many ready pods it
	// was the newest; 0 means that it was named by the user.
	Pod   *corev1.Pod
	Ready int

	// Container is the name of the chosen container. It is in Template and, where there is one, in Pod.
	Container string

	Access Access

	// NamespaceState are what in the namespace selects pods by their labels.
	NamespaceState isolation.NamespaceState
	// Claims are the PersistentVolumeClaims that the template's volumes name and, where an ordinal
	// was asked for, those of the StatefulSet's pod with that ordinal.
	Claims []Claim
	// Running are, by container, the images that a pod of the workload runs, with their digests
	// ("api@sha256:..."). They are only read where they were asked for.
	Running map[string]string
	// FirstOrdinal is the one of a StatefulSet's first pod.
	FirstOrdinal int
	// Indexed says of a Job or CronJob that each of its pods is given an index.
	Indexed bool
}

// Claim is a PersistentVolumeClaim and who uses it.
type Claim struct {
	Name string
	Spec *corev1.PersistentVolumeClaimSpec // nil: it could not be read, Err says why
	Err  error
	// Users are the workload's pods that mount it and have not ended.
	Users []User
	// UsersErr is why they could not be listed.
	UsersErr error
}

// User is a pod that mounts a claim.
type User struct {
	Pod  string
	Node string // empty: it is not scheduled yet
}

// String returns the canonical TYPE/NAME.
func (t *Workload) String() string { return strings.ToLower(t.Kind) + "/" + t.Name }

// Access is what the caller may do in the namespace, as the server says it.
type Access struct {
	DeletePods bool
	WatchPods  bool
	ExecPods   bool
	AttachPods bool
	PatchJobs  bool
	// User is the caller's name, or "" where the server does not tell.
	User string
}

// askAccess asks everything at once: one round trip.
func askAccess(ctx context.Context, client kubernetes.Interface, namespace string) Access {
	var answers Access
	var asked sync.WaitGroup
	ask := func(allowed *bool, verb, group, resource, subresource string) {
		asked.Go(func() {
			*allowed = access.Allowed(ctx, client, &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: group, Version: "v1", Resource: resource,
				Subresource: subresource,
			})
		})
	}
	ask(&answers.DeletePods, "delete", "", "pods", "")
	ask(&answers.WatchPods, "watch", "", "pods", "")
	ask(&answers.ExecPods, "create", "", "pods", "exec")
	ask(&answers.AttachPods, "create", "", "pods", "attach")
	ask(&answers.PatchJobs, "patch", "batch", "jobs", "")
	asked.Go(func() { answers.User = access.UserName(ctx, client) })
	asked.Wait()
	return answers
}

// defaultContainerAnnotation is how a pod tells kubectl which container is meant when none is named:
// https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-default-container
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

func chooseContainer(t *Workload, wanted string) (string, error) {
	var names []string
	for _, c := range t.Template.Spec.Containers {
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s has no containers", t)
	}
	if wanted == "" {
		if name := t.Template.Annotations[defaultContainerAnnotation]; slices.Contains(names, name) {
			return name, nil
		}
		return names[0], nil
	}
	for _, init := range t.Template.Spec.InitContainers {
		if containers.IsSidecar(init) {
			names = append(names, init.Name)
		}
	}
	if !slices.Contains(names, wanted) {
		return "", hint.Wrap(fmt.Errorf("%s has no container %q", t, wanted),
			"containers: "+strings.Join(names, ", "))
	}
	return wanted, nil
}
