package diagnosis

import (
	"fmt"
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
	words := "scheduling: " + scheduled.Message
	for _, o := range obstacles() {
		if !o.text.MatchString(words) {
			continue
		}
		next := o.propose(pod)
		if o.stays {
			return Status{Err: hint.Wrap(fmt.Errorf("%s", words), next)}
		}
		return Status{Waiting: words, Next: next}
	}
	return Status{Waiting: words}
}

// obstacle is something that keeps a pod from a node, and what is to be typed then.
type obstacle struct {
	text    *regexp.Regexp
	stays   bool                         // nothing that happens by itself takes it away
	propose func(pod *corev1.Pod) string // "": wait longer
}

// The texts are those of Kubernetes' pkg/scheduler/framework/plugins. Nodes differ in what they lack;
// what a smaller clone could do about it comes first.
func obstacles() []obstacle {
	return []obstacle{
		{regexp.MustCompile(
			`persistentvolumeclaim "[^"]+" (not found|is being deleted)|` +
				`bound to non-existent persistentvolume`), true, listClaims},
		{regexp.MustCompile(`Insufficient (cpu|memory)`), false, smaller},
		{regexp.MustCompile(`Insufficient [^\s,]+/|cannot allocate all claims|resourceclaim`), false,
			withoutDevices},
		{regexp.MustCompile(`PersistentVolume|persistent volumes to bind|volume node affinity`), false,
			describeClaims},
		{regexp.MustCompile(`didn't match Pod's node affinity/selector`), false, listNodeLabels},
		{regexp.MustCompile(`untolerated taint`), false, listTaints},
		// of the nodes that --node leaves aside, too
		{regexp.MustCompile(`\[NodeAffinity\]`), false, listNodeLabels},
	}
}

// smaller proposes sizes that fit nearly everywhere, where the clone asks for more than these.
func smaller(pod *corev1.Pod) string {
	requests := corev1.ResourceList{}
	if session := containers.Spec(pod, sized(pod)); session != nil {
		requests = session.Resources.Requests
	}
	var flags []string
	for _, size := range smallSizes() {
		asked := requests[size.name]
		missing := strings.Contains(schedulerSaid(pod), "Insufficient "+string(size.name))
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

func schedulerSaid(pod *corev1.Pod) string {
	if scheduled := condition(pod, corev1.PodScheduled); scheduled != nil {
		return scheduled.Message
	}
	return ""
}

func withoutDevices(*corev1.Pod) string { return "leave out the devices: --no-devices" }

func listClaims(pod *corev1.Pod) string {
	return "list the claims: kubectl get persistentvolumeclaims -n " + pod.Namespace
}

func describeClaims(pod *corev1.Pod) string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, pod.Name+"-"+volume.Name)
		}
	}
	return "see what it waits for: kubectl describe persistentvolumeclaim " + strings.Join(names, " ") +
		" -n " + pod.Namespace
}

func listTaints(*corev1.Pod) string {
	return "see the nodes' taints: " +
		"kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"
}

func listNodeLabels(*corev1.Pod) string {
	return "see the nodes' labels: kubectl get nodes --show-labels"
}
