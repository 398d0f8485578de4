package diagnosis

import (
	"errors"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// unscheduled says why a pod has no node yet. A node may be added, and a claim be bound; a claim that
// is not there will not come.
func unscheduled(pod *corev1.Pod, scheduled *corev1.PodCondition) Status {
	if scheduled == nil || scheduled.Message == "" {
		return Status{Waiting: "scheduling"}
	}
	words, of := "scheduling: "+scheduled.Message, subject{pod.Namespace, pod, ""}
	if missingClaim.MatchString(words) { // nothing that happens by itself changes that
		return Status{Err: hint.Wrap(errors.New(words), fixed(
			"list the claims: kubectl get persistentvolumeclaims -n NAMESPACE")(of, nil))}
	}
	return Status{Waiting: words, Next: firstHint(schedulerRules(), words, of)}
}

var missingClaim = regexp.MustCompile(`persistentvolumeclaim "[^"]+" (not found|is being deleted)|` +
	`bound to non-existent persistentvolume`)

// The texts are those of Kubernetes' pkg/scheduler/framework/plugins. Nodes differ in what they lack;
// what a smaller clone could do about it comes first.
func schedulerRules() []rule {
	nodeLabels := fixed("see the nodes' labels: kubectl get nodes --show-labels")
	return []rule{
		{regexp.MustCompile(`Insufficient (cpu|memory)`), smaller},
		{regexp.MustCompile(`Insufficient [^\s,]+/|cannot allocate all claims|resourceclaim`),
			fixed("leave out the devices: --no-devices")},
		{regexp.MustCompile(`PersistentVolume|persistent volumes to bind|volume node affinity`),
			describeClaims},
		{regexp.MustCompile(`didn't match Pod's node affinity/selector`), nodeLabels},
		{regexp.MustCompile(`untolerated taint`), fixed("see the nodes' taints: " +
			"kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints")},
		{regexp.MustCompile(`\[NodeAffinity\]`), nodeLabels}, // of the nodes that --node leaves aside, too
	}
}

// smaller proposes sizes that fit nearly everywhere, where the clone asks for more than these.
func smaller(s subject, _ []string) string {
	requests, message := corev1.ResourceList{}, condition(s.pod, corev1.PodScheduled).Message
	if session := containers.Spec(s.pod, sized(s.pod)); session != nil {
		requests = session.Resources.Requests
	}
	var flags []string
	for _, size := range smallSizes() {
		asked := requests[size.name]
		missing := strings.Contains(message, "Insufficient "+string(size.name))
		if missing && asked.Cmp(resource.MustParse(size.value)) > 0 {
			flags = append(flags, size.flag())
		}
	}
	if len(flags) == 0 {
		return ""
	}
	return "ask for less: " + strings.Join(flags, " ")
}

// size is a value for --cpu or --memory.
type size struct {
	name  corev1.ResourceName
	value string
}

func (s size) flag() string { return "--" + string(s.name) + " " + s.value }

// smallSizes fit nearly everywhere.
func smallSizes() []size {
	return []size{{corev1.ResourceCPU, "100m"}, {corev1.ResourceMemory, "128Mi"}}
}

func describeClaims(s subject, _ []string) string {
	var names []string
	for _, volume := range s.pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, s.pod.Name+"-"+volume.Name)
		}
	}
	return "see what it waits for: kubectl describe persistentvolumeclaim " + strings.Join(names, " ") +
		" -n " + s.namespace
}
