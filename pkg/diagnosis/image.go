package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// anotherImage: the flag is for the session's container; what comes along can be left out.
func anotherImage(pod *corev1.Pod, container string) string {
	switch {
	case container == owned.ToolboxName:
		return "check the name, or use another image: --toolbox IMAGE"
	case slices.ContainsFunc(pod.Spec.InitContainers, named(container)):
		return without(pod, container)
	}
	return "check the name, or use another image: --image IMAGE"
}

// unpulled tells a registry that may come back from one that has given its final word.
func unpulled(pod *corev1.Pod, status *corev1.ContainerStatus, words string) Status {
	answer := pullError(status.State.Waiting.Message)
	s := Status{Subject: status.Name, Retrying: true}
	switch {
	case forbids(answer):
		s.Err = hint.Wrap(fmt.Errorf("%s: image %s: %s", kindAndName(pod, status.Name), status.Image, words),
			anotherSecret(pod, status.Name))
	case hasNot(answer):
		s.Err = hint.Wrap(fmt.Errorf("%s: image %s: %s", kindAndName(pod, status.Name), status.Image, words),
			anotherImage(pod, status.Name))
	default:
		s.Waiting = fmt.Sprintf("image %s could not be pulled yet: %s", status.Image, answer)
	}
	return s
}

// pullError is what the registry's answer was: the kubelet repeats it while it backs off.
func pullError(message string) string {
	if _, answer, again := strings.Cut(message, "ErrImagePull: "); again {
		return answer
	}
	return message
}

// forbids reports a registry's word that the image is not for us.
func forbids(answer string) bool {
	return containsAny(answer, "unauthorized", "authorization failed", "denied", "forbidden")
}

// hasNot reports a registry's word that the image is not there.
func hasNot(answer string) bool {
	return containsAny(answer, "not found", "manifest unknown", "name unknown", "no match for platform")
}

func containsAny(text string, words ...string) bool {
	for _, word := range words {
		if strings.Contains(strings.ToLower(text), word) {
			return true
		}
	}
	return false
}

// anotherSecret: in debug mode the pull secrets are the pod's and cannot be added to.
func anotherSecret(pod *corev1.Pod, container string) string {
	if isEphemeral(pod, container) {
		return "use an image that the pod can pull: --image IMAGE"
	}
	return "use a pull secret for that registry: --image-pull-secret NAME"
}

// PullSecretsHint lists what --image-pull-secret could name.
func PullSecretsHint(namespace string) string {
	return "list the pull secrets: kubectl get secrets -n " + namespace + " --field-selector type=" +
		string(corev1.SecretTypeDockerConfigJson)
}
