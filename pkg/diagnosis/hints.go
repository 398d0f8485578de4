package diagnosis

import (
	"cmp"
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

// subject is what a message of the server's is about.
type subject struct {
	namespace string
	pod       *corev1.Pod
	container string // empty for the pod
}

// rule maps a text in the server's message to what to type next. An empty hint means nothing.
type rule struct {
	text *regexp.Regexp
	hint func(s subject, groups []string) string // groups are the submatches of text
}

// fixed returns a function that always returns the same hint, with NAMESPACE replaced.
func fixed(next string) func(subject, []string) string {
	return func(s subject, _ []string) string {
		return strings.ReplaceAll(next, "NAMESPACE", hint.Quote(s.namespace))
	}
}

// firstHint returns the hint of the first rule whose text is in the words, or "".
func firstHint(rules []rule, words string, s subject) string {
	for _, r := range rules {
		if groups := r.text.FindStringSubmatch(words); groups != nil {
			return r.hint(s, groups)
		}
	}
	return ""
}

// containerRules returns the rules for messages about containers. The texts are those of Kubernetes'
// pkg/kubelet, of apimachinery's NotFound, and of runc.
func containerRules() []rule {
	return []rule{
		{regexp.MustCompile(`(secret|configmap) "([^"]+)" not found`), withoutObject},
		{regexp.MustCompile(`couldn't find key (?:\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)`), withoutObject},
		{regexp.MustCompile(`references non-existent (secret|config) key`), listObjects},
		{regexp.MustCompile(`runAsNonRoot`), asAnotherUser},
		{regexp.MustCompile(`OOMKilled|OOM-killed|unable to set memory limit`), withMoreMemory},
		{regexp.MustCompile(`exec: "[^"]*": (?:executable file not found|.*no such file or directory)`),
			anotherProgram},
	}
}

// Hint returns what to type after the server's message about a container, or "". Without a container, the
// message is about the pod.
func Hint(pod *corev1.Pod, container, words string) string {
	return firstHint(containerRules(), words, subject{pod.Namespace, pod, container})
}

// withoutObject proposes to start without the variables that come from a missing object. If the object is
// needed for more than that, it proposes to list the existing objects.
func withoutObject(s subject, groups []string) string {
	spec, name := containers.Spec(s.pod, s.container), groups[2]
	whole := func(from corev1.EnvFromSource) bool { // -e does not remove these
		return from.SecretRef != nil && from.SecretRef.Name == name ||
			from.ConfigMapRef != nil && from.ConfigMapRef.Name == name
	}
	if spec == nil || isInit(s.pod, s.container) || slices.ContainsFunc(spec.EnvFrom, whole) {
		return listObjects(s, groups)
	}
	var flags []string
	for _, env := range spec.Env {
		if from := env.ValueFrom; from != nil &&
			(from.SecretKeyRef != nil && from.SecretKeyRef.Name == name ||
				from.ConfigMapKeyRef != nil && from.ConfigMapKeyRef.Name == name) {
			flags = append(flags, hint.Command("-e %s", env.Name+"-"))
		}
	}
	if len(flags) == 0 {
		return listObjects(s, groups)
	}
	return "start without it: " + strings.Join(flags, " ")
}

func listObjects(s subject, groups []string) string {
	kind := "configmaps"
	if strings.EqualFold(groups[1], "secret") {
		kind = "secrets"
	}
	return hint.Command("list what there is: kubectl get "+kind+" -n %s", s.namespace)
}

func asAnotherUser(s subject, _ []string) string {
	if isEphemeral(s.pod, s.container) {
		return "use an image that runs as another user: --image IMAGE"
	}
	if c := containers.Spec(s.pod, s.container); c == nil || !c.Stdin { // not the session's own container
		return without(s.pod, s.container)
	}
	return "run it as another user: --as-user 1000"
}

func anotherProgram(s subject, _ []string) string {
	if isInit(s.pod, s.container) {
		return "" // the program is not the user's
	}
	return "name a program that the image has: -- PROGRAM"
}

func eventsOf(pod *corev1.Pod) string {
	return hint.Command("see its events: kubectl get events -n %s --field-selector %s", pod.Namespace,
		"involvedObject.name="+pod.Name)
}

func describeNode(name string) string {
	return hint.Command("see its node: kubectl describe node %s", name)
}

// anotherImage proposes another image. The flag is for the session's container. An init container that comes
// along can be left out.
func anotherImage(pod *corev1.Pod, container string) string {
	switch {
	case container == owned.ToolboxName:
		return "check the name, or use another image: --toolbox IMAGE"
	case isInit(pod, container):
		return without(pod, container)
	}
	return "check the name, or use another image: --image IMAGE"
}

// unpulled distinguishes a registry that may come back from one whose answer is final because access to the
// image is denied or the image does not exist. The kubelet repeats the registry's answer while it backs off.
func unpulled(pod *corev1.Pod, status *corev1.ContainerStatus, words string) Status {
	answer := status.State.Waiting.Message
	if _, repeated, again := strings.Cut(answer, "ErrImagePull: "); again {
		answer = repeated
	}
	s := Status{Subject: status.Name, Retrying: true, Trouble: true}
	refused := fmt.Errorf("%s: image %s: %s", kindAndName(pod, status.Name), status.Image, words)
	switch {
	case containsAny(answer, "unauthorized", "authorization failed", "denied", "forbidden"):
		next := "use a pull secret for that registry: --image-pull-secret NAME"
		if isEphemeral(pod, status.Name) { // the pod's pull secrets cannot be added to
			next = "use an image that the pod can pull: --image IMAGE"
		}
		s.Err = hint.Wrap(refused, next)
	case containsAny(answer, "not found", "manifest unknown", "name unknown", "no match for platform"):
		s.Err = hint.Wrap(refused, anotherImage(pod, status.Name))
	default:
		s.Waiting = fmt.Sprintf("image %s could not be pulled yet: %s", status.Image, answer)
	}
	return s
}

func containsAny(text string, words ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// PullSecretsHint returns the command that lists what --image-pull-secret could name.
func PullSecretsHint(namespace string) string {
	return hint.Command("list the pull secrets: kubectl get secrets -n %s --field-selector type="+
		string(corev1.SecretTypeDockerConfigJson), namespace)
}

// OutOfMemory reports whether a container was killed because it used too much memory.
func OutOfMemory(end *corev1.ContainerStateTerminated) bool { return end.Reason == "OOMKilled" }

// memoryLimit returns the memory limit of a container, or else of its pod, or nil if there is none. An
// ephemeral container has no limit of its own.
func memoryLimit(pod *corev1.Pod, container string) *resource.Quantity {
	if c := containers.Spec(pod, container); c != nil && !c.Resources.Limits.Memory().IsZero() {
		return c.Resources.Limits.Memory()
	}
	if pod.Spec.Resources != nil && !pod.Spec.Resources.Limits.Memory().IsZero() {
		return pod.Spec.Resources.Limits.Memory()
	}
	return nil
}

// withMoreMemory proposes twice the limit. --memory sizes the session's container and the toolbox's, and with
// them the pod. Another container's own limit requires an override.
func withMoreMemory(s subject, _ []string) string {
	container := cmp.Or(s.container, sized(s.pod))
	limit := memoryLimit(s.pod, container)
	switch {
	case isEphemeral(s.pod, container):
		return "leave out --mode debug for a clone"
	case limit == nil: // the node itself ran out of memory
		return describeNode(s.pod.Spec.NodeName)
	}
	more := limit.DeepCopy()
	more.Add(more)
	// The runtime itself needs some memory to start a container.
	if least := resource.MustParse("128Mi"); more.Cmp(least) < 0 {
		more = least
	}
	own := containers.Spec(s.pod, container)
	if container == owned.ToolboxName || container == sized(s.pod) || own.Resources.Limits.Memory().IsZero() {
		return hint.Command("raise the limit: --memory %s", more.String())
	}
	kind := "containers"
	if isInit(s.pod, container) {
		kind = "initContainers"
	}
	return hint.Command("raise the limit: --override-type strategic --overrides %s", fmt.Sprintf(
		`{"spec":{"%s":[{"name":%q,"resources":{"limits":{"memory":"%s"}}}]}}`, kind, container, &more))
}

// sized returns the container that --memory sizes. This is the session's own, which is the only one that
// reads its stdin.
func sized(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.Stdin {
			return c.Name
		}
	}
	return ""
}
