// Package workload finds out what the user meant. It turns the words "deploy/api -c app" into facts about one
// workload. It only reads. Package plan decides what to do with the facts.
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

// Workload is one workload as it was found in the cluster. It must not be changed.
type Workload struct {
	Kind      string // as in the API: "Deployment"
	Name      string
	Namespace string

	// Template is the pod template from which the workload's controller makes pods, with its metadata. For a
	// pod it is the live pod's own spec.
	Template corev1.PodTemplateSpec
	// ClaimTemplates are a StatefulSet's volumeClaimTemplates, which are not part of the pod template.
	ClaimTemplates []corev1.PersistentVolumeClaim

	// Pod is the live pod, or nil if none was requested. Selected is why it is that one of the workload's
	// pods, in words; it is empty if the user named it.
	Pod      *corev1.Pod
	Selected string

	// Container is the name of the chosen container. It is in Template and, if there is one, in Pod.
	Container string

	Access Access

	// NamespaceState holds what selects pods by their labels in the namespace.
	NamespaceState isolation.NamespaceState
	// Claims are the PersistentVolumeClaims that the template's volumes name. If an ordinal was requested,
	// they include those of the StatefulSet's pod with that ordinal.
	Claims []Claim
	// Running holds the image that each container of one of the workload's pods runs, with its digest
	// ("api@sha256:..."). It is only read on request.
	Running map[string]string
	// FirstOrdinal is the ordinal of a StatefulSet's first pod.
	FirstOrdinal int
	// Indexed reports whether each pod of a Job or CronJob is given an index.
	Indexed bool
}

// Claim is a PersistentVolumeClaim with the pods that use it.
type Claim struct {
	Name string
	Spec *corev1.PersistentVolumeClaimSpec // nil if it could not be read; Err is the reason
	Err  error
	// Users are the pods that mount the claim and have not ended.
	Users []User
	// UsersErr is the reason why they could not be listed.
	UsersErr error
}

// User is a pod that mounts a claim.
type User struct {
	Pod  string
	Node string // empty if it is not scheduled yet
}

// String returns the canonical TYPE/NAME.
func (t *Workload) String() string { return strings.ToLower(t.Kind) + "/" + t.Name }

// Access is what the server allows the caller to do in the namespace.
type Access struct {
	DeletePods bool
	WatchPods  bool
	ExecPods   bool
	AttachPods bool
	PatchJobs  bool
	// These are asked for only if Query.Preview is set: for a session the server answers by itself.
	CreatePods, CreateJobs, PatchEphemeral bool
	// User is the caller's name, or "" if the server does not report it.
	User string
}

// askAccess makes all its requests at once, in one round trip.
func askAccess(ctx context.Context, client kubernetes.Interface, namespace string, preview bool) Access {
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
	if preview {
		ask(&answers.CreatePods, "create", "", "pods", "")
		ask(&answers.CreateJobs, "create", "batch", "jobs", "")
		ask(&answers.PatchEphemeral, "patch", "", "pods", "ephemeralcontainers")
	}
	asked.Go(func() { answers.User = access.UserName(ctx, client) })
	asked.Wait()
	return answers
}

// defaultContainerAnnotation names the container that kubectl uses if the user names none:
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
		if t.Pod != nil || containers.IsSidecar(init) {
			names = append(names, init.Name)
		}
	}
	if !slices.Contains(names, wanted) {
		next := "containers: " + strings.Join(names, ", ")
		for _, meant := range hint.Closest(wanted, names) {
			next = hint.Command("did you mean: -c %s", meant)
		}
		return "", hint.Wrap(fmt.Errorf("%s has no container %q", t, wanted), next)
	}
	return wanted, nil
}
