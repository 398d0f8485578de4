package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// trouble is something that the kubelet or the runtime says of a container, in its status or in an
// event, and what is to be typed then.
type trouble struct {
	text   *regexp.Regexp
	remedy func(pod *corev1.Pod, container string, said []string) string // said: the text's groups
}

// The texts are those of Kubernetes' pkg/kubelet, of apimachinery's NotFound, and of runc.
func troubles() []trouble {
	return []trouble{
		{regexp.MustCompile(`(secret|configmap) "([^"]+)" not found`), withoutObject},
		{regexp.MustCompile(`couldn't find key (?:\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)`), withoutObject},
		{regexp.MustCompile(`references non-existent (secret|config) key`), toLookUp},
		{regexp.MustCompile(`runAsNonRoot`), asSomeone},
		{regexp.MustCompile(`OOMKilled|OOM-killed|unable to set memory limit`), withMoreMemory},
		{regexp.MustCompile(`exec: "[^"]*": (?:executable file not found|.*no such file or directory)`),
			otherProgram},
	}
}

// Hint is what to type after the server's words about a container, or "". Without a container they
// are about the pod.
func Hint(pod *corev1.Pod, container, words string) string {
	for _, t := range troubles() {
		if said := t.text.FindStringSubmatch(words); said != nil {
			return t.remedy(pod, container, said)
		}
	}
	return ""
}

// withoutObject proposes to do without the variables that are to come from what is not there. Where
// it is needed for more than that, it says what there is.
func withoutObject(pod *corev1.Pod, container string, said []string) string {
	spec := containers.Spec(pod, container)
	if spec == nil || slices.ContainsFunc(pod.Spec.InitContainers, named(container)) {
		return toLookUp(pod, container, said)
	}
	var flags []string
	for _, env := range spec.Env {
		if refersTo(env.ValueFrom, said[2]) {
			flags = append(flags, "-e "+env.Name+"-")
		}
	}
	for _, from := range spec.EnvFrom {
		if from.SecretRef != nil && from.SecretRef.Name == said[2] || from.ConfigMapRef != nil &&
			from.ConfigMapRef.Name == said[2] {
			flags = nil // -e does not take these away
			break
		}
	}
	if len(flags) == 0 {
		return toLookUp(pod, container, said)
	}
	return "start without it: " + strings.Join(flags, " ")
}

func refersTo(from *corev1.EnvVarSource, name string) bool {
	return from != nil &&
		(from.SecretKeyRef != nil && from.SecretKeyRef.Name == name || from.ConfigMapKeyRef != nil &&
			from.ConfigMapKeyRef.Name == name)
}

func toLookUp(pod *corev1.Pod, _ string, said []string) string {
	kind := "configmaps"
	if strings.EqualFold(said[1], "secret") {
		kind = "secrets"
	}
	return "list what there is: kubectl get " + kind + " -n " + pod.Namespace
}

func asSomeone(pod *corev1.Pod, container string, _ []string) string {
	if isEphemeral(pod, container) {
		return "use an image that runs as another user: --image IMAGE"
	}
	if c := containers.Spec(pod, container); c == nil || !c.Stdin { // not the session's own
		return without(pod, container)
	}
	return "run it as another user: --as-user 1000"
}

func otherProgram(pod *corev1.Pod, container string, _ []string) string {
	if slices.ContainsFunc(pod.Spec.InitContainers, named(container)) {
		return "" // it is not the user's
	}
	return "name a program that the image has: -- PROGRAM"
}

func eventsOf(pod *corev1.Pod) string { return eventsAbout(pod.Namespace, pod.Name) }

func eventsAbout(namespace, pod string) string {
	return "see its events: kubectl get events -n " + namespace + " --field-selector involvedObject.name=" +
		pod
}

func describeNode(name string) string { return "see its node: kubectl describe node " + name }

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

// enough is the least memory that is proposed: the runtime itself needs some to start a container.
const enough = "128Mi"

// OutOfMemory reports whether a container was killed because it used too much memory.
func OutOfMemory(end *corev1.ContainerStateTerminated) bool { return end.Reason == "OOMKilled" }

// memoryLimit is the limit that a container runs under, or nil: its own, or else its pod's. An
// ephemeral container has none of its own.
func memoryLimit(pod *corev1.Pod, container string) *resource.Quantity {
	if c := containers.Spec(pod, container); c != nil && !c.Resources.Limits.Memory().IsZero() {
		return c.Resources.Limits.Memory()
	}
	if pod.Spec.Resources != nil && !pod.Spec.Resources.Limits.Memory().IsZero() {
		return pod.Spec.Resources.Limits.Memory()
	}
	return nil
}

// withMoreMemory proposes twice the limit. The flag sizes the session's container and the toolbox's,
// and with them the pod; another container's own limit takes an override.
func withMoreMemory(pod *corev1.Pod, container string, _ []string) string {
	if container == "" {
		container = sized(pod)
	}
	limit := memoryLimit(pod, container)
	switch {
	case isEphemeral(pod, container):
		return "leave out --mode debug for a clone"
	case limit == nil: // the node itself ran out
		return describeNode(pod.Spec.NodeName)
	}
	more := limit.DeepCopy()
	more.Add(more)
	if least := resource.MustParse(enough); more.Cmp(least) < 0 {
		more = least
	}
	if own := containers.Spec(pod, container); container != owned.ToolboxName && container != sized(pod) &&
		!own.Resources.Limits.Memory().IsZero() {
		return "raise the limit: --override-type strategic --overrides '" + moreMemory(pod, container, more) +
			"'"
	}
	return "raise the limit: --memory " + more.String()
}

// sized is the container that --memory sizes: the session's own, which alone reads its stdin.
func sized(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.Stdin {
			return c.Name
		}
	}
	return ""
}

func moreMemory(pod *corev1.Pod, container string, more resource.Quantity) string {
	kind := "containers"
	if slices.ContainsFunc(pod.Spec.InitContainers, named(container)) {
		kind = "initContainers"
	}
	return fmt.Sprintf(`{"spec":{"%s":[{"name":"%s","resources":{"limits":{"memory":"%s"}}}]}}`, kind,
		container, &more)
}
