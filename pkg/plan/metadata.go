package plan

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/netpol"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// keepLabels gives the clone labels that nothing selects. It also adds a readiness gate that nobody sets. The
// gate keeps the clone out of Services that are created while it runs, and out of all Services if the user
// keeps the labels.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate
func (c *clone) keepLabels() error {
	source, t := c.workload.Template.Labels, c.workload
	result, err := isolation.SelectLabels(source, t.NamespaceState, c.options.Labels,
		owned.Labels(c.options.Session))
	if err != nil {
		return err
	}
	c.labels = result.Labels
	for _, dropped := range result.Dropped {
		labels, unknown := plural("label", dropped.Keys), t.NamespaceState.Unknown
		_, had := source[dropped.Keys[0]]
		switch {
		case !had:
			c.note(Warning, labels+" cannot be dropped", dropped.Reason)
		case unknown != nil && dropped.Reason == unknown.Error():
			c.note(Changed, "without "+labels, "what selects by them could not be read: "+dropped.Reason)
		default:
			c.note(LeftOut, labels, dropped.Reason)
		}
	}
	for _, match := range result.Matches {
		c.noteMatch(match)
	}
	c.noteDifferences()
	for _, gate := range c.spec.ReadinessGates {
		c.note(Detail, "readiness gate "+string(gate.ConditionType)+" is left out", "a clone is never ready")
	}
	c.spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}}
	c.note(Detail, "readiness gate "+owned.NeverReady, "nobody sets it: no Service takes the clone for ready")
	return nil
}

// noteDifferences notes what NetworkPolicies do to a clone with other labels. It suggests --keep-labels if
// that is not refused and makes fewer differences.
func (c *clone) noteDifferences() {
	source, state := c.workload.Template.Labels, c.workload.NamespaceState
	differences := netpol.Differences(state.Policies, source, c.labels)
	for _, difference := range differences {
		c.note(Changed, "network", difference)
	}
	if len(differences) == 0 || c.options.Labels.Keep {
		return
	}
	kept, err := isolation.SelectLabels(source, state, isolation.LabelOptions{Keep: true},
		owned.Labels(c.options.Session))
	if err == nil && len(netpol.Differences(state.Policies, source, kept.Labels)) < len(differences) {
		c.note(Changed, "network", "--keep-labels keeps the labels by which policies know the original")
	}
}

func (c *clone) noteMatch(match isolation.Selector) {
	switch {
	case match.Placement:
		c.note(Warning, match.String()+" counts the clone",
			"by the labels that were kept; its pods may stay Pending for the clone, or the clone for them")
	case match.Kind == "Service":
		c.note(Kept, "the labels that "+match.String()+" selects",
			"it knows the clone, and gives it no traffic: a readiness gate keeps it from being ready")
	case match.Kind == "PodDisruptionBudget":
		c.note(Warning, match.String()+" counts the clone",
			"by the labels that were kept; never ready, it may hold up evictions")
	default:
		c.note(Warning, match.String()+" counts the clone",
			"by the labels that were kept; autoscalers may do so too")
	}
}

func plural(noun string, names []string) string {
	return words.Plural(len(names), noun, noun+"s") + " " + strings.Join(names, ", ")
}

// keepAnnotations keeps annotations that are settings (mesh, secrets, identity) and drops those that record
// something about another object. It also tells node autoscalers not to remove the node during the session.
func (c *clone) keepAnnotations() error {
	c.annotations = map[string]string{}
	var dropped []string
	for _, key := range slices.Sorted(maps.Keys(c.workload.Template.Annotations)) {
		if isRecord(key) || isolation.IsManagedLabel(key) || c.ofDroppedContainer(key) {
			dropped = append(dropped, key)
			continue
		}
		c.annotations[key] = c.workload.Template.Annotations[key]
	}
	if len(dropped) > 0 {
		c.note(Detail, plural("annotation", dropped)+" left out", "what it records is not the clone's")
	}
	maps.Copy(c.annotations, owned.Annotations(c.workload.Kind, c.workload.Name))
	maps.Copy(c.annotations, owned.Terms(c.workload.Access.User, c.options.Reason, c.options.TTL))
	if c.options.Detach { // its stdin does not show which container it is
		c.annotations[owned.KeptAnnotation] = owned.Detached
		c.annotations[owned.ContainerAnnotation] = c.workload.Container
	}
	// These tell node autoscalers that the pod must not be moved:
	// https://kubernetes.io/docs/reference/labels-annotations-taints/#cluster-autoscaler-kubernetes-io-safe-to-evict,
	// https://karpenter.sh/docs/concepts/disruption/#pod-level-controls
	doNotDisrupt := map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
		"karpenter.sh/do-not-disrupt": "true"}
	maps.Copy(c.annotations, doNotDisrupt)
	c.note(Detail, "node autoscalers leave the clone alone",
		strings.Join(slices.Sorted(maps.Keys(doNotDisrupt)), ", "))
	return nil
}

// isRecord reports whether kubectl, a kubelet or a network plugin uses an annotation to record something
// about one object, or Prometheus uses it to find what to scrape.
func isRecord(key string) bool {
	domain, name, _ := strings.Cut(key, "/")
	switch domain {
	case "kubectl.kubernetes.io", "batch.kubernetes.io", "k8s.ovn.org", "ovn.kubernetes.io",
		"vpc.amazonaws.com", "prometheus.io", "scheduling.k8s.io":
		return true
	case "cni.projectcalico.org": // an address belongs to one pod, a pool does not
		return !strings.HasSuffix(name, "pools")
	case "kubernetes.io":
		return strings.HasPrefix(name, "config.") || name == "limit-ranger" || name == "created-by"
	case "k8s.v1.cni.cncf.io":
		return strings.HasSuffix(name, "-status")
	case "openshift.io":
		return name == "scc"
	case "sidecar.istio.io": // the record of an injection; the clone gets its own
		return name == "status"
	case "linkerd.io":
		return name == "proxy-version" || name == "trust-root-sha256" || name == "created-by"
	}
	return strings.HasPrefix(key, owned.Domain)
}

// ofDroppedContainer reports whether an annotation is a setting for a container that does not run.
func (c *clone) ofDroppedContainer(key string) bool {
	for _, prefix := range []string{corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix,
		"container.seccomp.security.alpha.kubernetes.io/"} {
		if name, found := strings.CutPrefix(key, prefix); found {
			return !c.runs(name)
		}
	}
	return false
}
