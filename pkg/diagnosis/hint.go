package diagnosis

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
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
