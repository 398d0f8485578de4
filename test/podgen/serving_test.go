package podgen

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

func endRules(s sample) []string {
	spec := s.pod.Spec
	found := complain(nil, spec.RestartPolicy != corev1.RestartPolicyNever, "restart policy %s",
		spec.RestartPolicy)
	found = complain(found, spec.ActiveDeadlineSeconds == nil || *spec.ActiveDeadlineSeconds != 8*3600,
		"deadline")
	grace := spec.TerminationGracePeriodSeconds
	found = complain(found, grace == nil || *grace < 1 || *grace > 5, "grace period")
	found = complain(found, spec.NodeName != "", "on node %s", spec.NodeName)
	named := spec.Hostname != "" || spec.Subdomain != "" || spec.SetHostnameAsFQDN != nil ||
		spec.HostnameOverride != nil
	found = complain(found, named, "the original's name: %s %s", spec.Hostname, spec.Subdomain)
	classed := spec.Priority != nil || spec.PreemptionPolicy != nil || spec.PriorityClassName != "" ||
		spec.Overhead != nil
	found = complain(found, classed, "priority or overhead")
	return complain(found, len(spec.SchedulingGates) > 0 || len(spec.EphemeralContainers) > 0,
		"gates or ephemeral containers")
}

func servingRules(s sample) []string {
	gates := []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}}
	found := complain(nil, !slices.Equal(s.pod.Spec.ReadinessGates, gates), "readiness gates %v",
		s.pod.Spec.ReadinessGates)
	for _, c := range s.pod.Spec.Containers {
		found = complain(found, c.RestartPolicy != nil, "%s restarts", c.Name)
		found = complain(found, c.StartupProbe != nil, "%s has a startup probe", c.Name)
	}
	for _, c := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		found = complain(found, len(c.Ports) > 0, "%s has ports", c.Name)
		serves := c.LivenessProbe != nil || c.ReadinessProbe != nil || c.Lifecycle != nil
		found = complain(found, serves || c.RestartPolicyRules != nil, "%s has what a server has", c.Name)
	}
	for _, c := range s.pod.Spec.InitContainers {
		found = append(found, startRules(c, sourceOf(s, c.Name))...)
	}
	return found
}

// startRules: what comes after a sidecar waits for its startup probe, so that has to work without
// the names of ports. The other init containers end by themselves.
func startRules(c corev1.Container, before *corev1.Container) []string {
	if before == nil || !isSidecar(*before) {
		return complain(nil, c.StartupProbe != nil || c.RestartPolicy != nil,
			"%s has a startup probe or restarts", c.Name)
	}
	found := complain(nil, !isSidecar(c), "%s is a sidecar no more", c.Name)
	found = complain(found, (before.StartupProbe == nil) != (c.StartupProbe == nil),
		"%s has lost its startup probe", c.Name)
	port := probed(c.StartupProbe)
	return complain(found, port.Type == intstr.String, "%s is probed on port %s, which is gone", c.Name,
		port.StrVal)
}

func probed(p *corev1.Probe) intstr.IntOrString {
	switch {
	case p == nil:
	case p.HTTPGet != nil:
		return p.HTTPGet.Port
	case p.TCPSocket != nil:
		return p.TCPSocket.Port
	}
	return intstr.IntOrString{}
}

func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// sourceOf is the container of that name in the source, or nil.
func sourceOf(s sample, name string) *corev1.Container {
	all := slices.Concat(s.source.Spec.Containers, s.source.Spec.InitContainers)
	if i := slices.IndexFunc(all, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}
