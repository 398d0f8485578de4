package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// lacking returns the permissions that a session would miss, for a plan that is only displayed: what would be
// refused, and what it would have to do without.
func (o Options) lacking(t *workload.Workload, mode Mode) []Note {
	if !o.Preview {
		return nil
	}
	clone := mode == ModeClone
	unleased := "a session would be on no record"
	if clone {
		unleased = "a session would have no lease: after kill -9 the ended pod would stay until it is deleted"
	}
	if clone && o.Detach {
		unleased = "a session would have no lease: after its end the pod would stay until it is deleted"
	}
	var notes []Note
	for _, need := range []struct {
		allowed   bool
		what, why string
	}{
		{t.Access.CreatePods || !clone, "create pods", "a session would be refused"},
		{t.Access.DeletePods || !clone, "delete pods",
			"a session would be refused: the clone could not be removed"},
		{t.Access.PatchEphemeral || clone, "patch pods/ephemeralcontainers", "a session would be refused"},
		{t.Access.WatchPods, "watch pods", "a session would be refused: eshell could not see it start"},
		{t.Access.AttachPods || o.Detach && clone, "create pods/attach",
			"a session would be refused: eshell keeps it alive by attaching to it"},
		{t.Access.CreateJobs, "create jobs", unleased},
		{t.Access.PatchJobs || !t.Access.CreateJobs, "patch jobs",
			"the lease of a session could not be renewed: it would last for all of --ttl"},
	} {
		if !need.allowed {
			notes = append(notes, Note{Warning, "you are not allowed to " + need.what, need.why})
		}
	}
	return notes
}

// full describes a debug container that is only displayed, as far as that is no deviation.
func (o Options) full(t *workload.Workload, c corev1.EphemeralContainerCommon) []Note {
	if !o.Preview {
		return nil
	}
	user := "the user of that image"
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		user = fmt.Sprintf("user %d", *c.SecurityContext.RunAsUser)
	}
	image := "container " + t.Container + " runs it"
	if source := containers.Spec(t.Pod, t.Container); source == nil || source.Image != c.Image {
		image = "--image"
	}
	if c.Image == o.Debug.DefaultImage {
		image = "--debug-image"
	}
	ends := fmt.Sprintf("%s, %s after its client", o.endsWith(), duration.HumanDuration(o.HeartbeatTimeout))
	if o.Detach {
		ends = "with kubectl eshell delete"
	}
	return []Note{
		{Detail, "image " + c.Image, image},
		{Detail, "it runs as " + user, o.whoseUser(t)},
		{Detail, "its process ends", fmt.Sprintf("%s, after %s at the latest", ends,
			duration.HumanDuration(o.TTL))},
		{Detail, "its entry stays in the pod's spec for the pod's life",
			"Kubernetes has no way to remove an ephemeral container"},
	}
}

// whoseUser returns what decides as which user a debug container runs.
func (o Options) whoseUser(t *workload.Workload) string {
	switch {
	case o.Debug.Profile != profile.Auto:
		return "--profile"
	case o.Debug.Without.Security:
		return "--inherit"
	}
	return "container " + t.Container + " does"
}
