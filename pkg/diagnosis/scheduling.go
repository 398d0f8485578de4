package diagnosis

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// unscheduled returns why a pod has no node yet. A node may be added and a claim may be bound, but a claim
// that does not exist will not appear.
func unscheduled(pod *corev1.Pod, message string) Status {
	if message == "" {
		return Status{Waiting: "scheduling"}
	}
	words := "scheduling: " + message
	if missingClaim.MatchString(words) { // this does not change by itself
		return Status{Err: hint.Wrap(errors.New(words),
			hint.Command("list the claims: kubectl get persistentvolumeclaims -n %s", pod.Namespace))}
	}
	return Status{Waiting: words, Trouble: true,
		Next: firstHint(schedulerRules(), words, subject{pod.Namespace, pod, ""})}
}

var missingClaim = regexp.MustCompile(`persistentvolumeclaim "[^"]+" (not found|is being deleted)|` +
	`bound to non-existent persistentvolume`)

// schedulerRules returns the rules for the scheduler's messages. The texts are those of Kubernetes'
// pkg/scheduler/framework/plugins. Nodes differ in what they lack, so what a smaller clone could solve comes
// first.
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
		{regexp.MustCompile(`\[NodeAffinity\]`), nodeLabels}, // also for the nodes that --node excludes
	}
}

// smaller proposes sizes that fit nearly everywhere, if the clone requests more than these.
func smaller(s subject, _ []string) string {
	requests, message := corev1.ResourceList{}, condition(s.pod, corev1.PodScheduled).Message
	if session := containers.Spec(s.pod, sized(s.pod)); session != nil {
		requests = session.Resources.Requests
	}
	var flags []string
	for name, size := range smallSizes() {
		asked := requests[corev1.ResourceName(name)]
		missing := strings.Contains(message, "Insufficient "+name)
		if missing && asked.Cmp(resource.MustParse(size)) > 0 {
			flags = append(flags, "--"+name+" "+size)
		}
	}
	if len(flags) == 0 {
		return ""
	}
	slices.Sort(flags)
	return "ask for less: " + strings.Join(flags, " ")
}

// smallSizes returns values that fit nearly everywhere, by resource. The resource's name is also the flag's.
func smallSizes() map[string]string { return map[string]string{"cpu": "100m", "memory": "128Mi"} }

// describeClaims proposes to look at the claims that a pod waits for. Those of its own ephemeral volumes are
// deleted with it, so their storage classes are looked at instead.
func describeClaims(s subject, _ []string) string {
	var names []string
	for _, volume := range s.pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	if len(names) == 0 {
		return "see what can make its volumes: kubectl get storageclasses"
	}
	return hint.Command("see what it waits for: kubectl describe persistentvolumeclaim"+
		strings.Repeat(" %s", len(names))+" -n %s", append(names, s.namespace)...)
}
