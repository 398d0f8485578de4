package plan

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
)

// place lets the scheduler choose any node that the original could run on. It drops rules about where other
// pods are, because they could keep the clone Pending.
func (c *clone) place() error {
	const alone = "the clone could stay Pending for other pods' sake"
	if affinity := c.spec.Affinity; affinity != nil {
		if affinity.PodAffinity != nil || affinity.PodAntiAffinity != nil {
			c.note(LeftOut, "pod affinity", alone)
		}
		c.spec.Affinity = nil
		if affinity.NodeAffinity != nil {
			c.spec.Affinity = &corev1.Affinity{NodeAffinity: affinity.NodeAffinity}
		}
	}
	if len(c.spec.TopologySpreadConstraints) > 0 {
		c.note(LeftOut, "topology spread", alone)
		c.spec.TopologySpreadConstraints = nil
	}
	if c.spec.PriorityClassName != "" {
		c.note(LeftOut, "priority class "+c.spec.PriorityClassName, "a shell must not preempt production")
		c.spec.PriorityClassName = ""
	}
	if c.options.Node != "" {
		return c.pinToNode(c.options.Node, "--node")
	}
	return nil
}

// pinToNode requires a node by affinity, as the DaemonSet controller does, because nodeName would bypass the
// scheduler. It adds the requirement to every term, because matching one term is enough.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled
func (c *clone) pinToNode(node, reason string) error {
	c.spec.Affinity = cmp.Or(c.spec.Affinity, &corev1.Affinity{})
	affinity := cmp.Or(c.spec.Affinity.NodeAffinity, &corev1.NodeAffinity{})
	c.spec.Affinity.NodeAffinity = affinity
	affinity.RequiredDuringSchedulingIgnoredDuringExecution = cmp.Or(
		affinity.RequiredDuringSchedulingIgnoredDuringExecution,
		&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}})
	terms := affinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for i := range terms {
		if other := nodeOf(terms[i]); other != "" && other != node {
			return fmt.Errorf("the clone cannot be on node %s (%s): it has to be on node %s", node, reason,
				other)
		}
		if nodeOf(terms[i]) == "" {
			terms[i].MatchFields = append(terms[i].MatchFields, corev1.NodeSelectorRequirement{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			})
		}
	}
	c.note(Changed, "it runs on node "+node, reason)
	return nil
}

// nodeOf returns the node that a term requires by name, or "".
func nodeOf(term corev1.NodeSelectorTerm) string {
	for _, field := range term.MatchFields {
		if field.Key == metav1.ObjectNameField && field.Operator == corev1.NodeSelectorOpIn &&
			len(field.Values) == 1 {
			return field.Values[0]
		}
	}
	return ""
}

// dropPodIdentity removes what belongs to one running pod: its node, its name and its turn to be scheduled.
// Admission fills in again what it had taken from a class.
func (c *clone) dropPodIdentity() error {
	spec := &c.spec
	if len(spec.SchedulingGates) > 0 || spec.SchedulingGroup != nil {
		c.note(LeftOut, "scheduling gates", "nobody would open them for a clone")
	}
	if spec.Hostname != "" || spec.Subdomain != "" || spec.HostnameOverride != nil ||
		spec.SetHostnameAsFQDN != nil {
		c.note(LeftOut, "host name", "it is the original's in DNS")
	}
	if c.workload.Kind == "Pod" {
		c.note(Detail, "what one running pod has is left out",
			"node, priority, overhead, token volume, tolerations of the node's own taints, "+
				"ephemeral containers")
	}
	spec.NodeName, spec.Hostname, spec.Subdomain = "", "", ""
	spec.SetHostnameAsFQDN, spec.HostnameOverride = nil, nil
	spec.SchedulingGates, spec.SchedulingGroup = nil, nil
	spec.EphemeralContainers, spec.EvictionResponders = nil, nil
	spec.Priority, spec.PreemptionPolicy, spec.Overhead = nil, nil, nil
	spec.Tolerations = slices.DeleteFunc(spec.Tolerations, isAutomatic)
	return nil
}

// isAutomatic reports whether a toleration is one that admission adds to every pod.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
func isAutomatic(t corev1.Toleration) bool {
	return (t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable) &&
		t.Operator == corev1.TolerationOpExists &&
		t.Effect == corev1.TaintEffectNoExecute && t.TolerationSeconds != nil && *t.TolerationSeconds == 300
}

// limitLifetime makes the pod end with its shell, soon after a delete, and eventually by itself, even if the
// client is gone. If there is a lease, the lease ends the pod eventually, because its end can be postponed.
func (c *clone) limitLifetime(a agent.Agent) error {
	c.spec.RestartPolicy = corev1.RestartPolicyNever
	c.spec.TerminationGracePeriodSeconds = new(int64(gracePeriod))
	c.spec.ActiveDeadlineSeconds = nil
	if c.options.Lease == nil {
		c.spec.ActiveDeadlineSeconds = new(int64(c.options.TTL.Seconds()))
	}
	stays, with := "after kill -9", c.options.endsWith()+", "
	after := duration.HumanDuration(c.options.HeartbeatTimeout) + " after its client, "
	if c.options.Detach {
		stays, with, after = "after its end", "", ""
		if len(c.options.Command) > 0 {
			with = "with its command, "
		}
	}
	c.notes = append(c.notes, c.options.unleased(stays+" the ended pod stays until it is deleted")...)
	if c.options.Preview && !c.options.Detach && c.via == agent.ViaExec {
		after += duration.HumanDuration(a.AttachTimeout) + " after its start if no client comes, "
	}
	c.note(Detail, "it ends", fmt.Sprintf("%swithin %d s of a delete, %safter %s at the latest", with,
		gracePeriod, after, duration.HumanDuration(c.options.TTL)))
	return nil
}
