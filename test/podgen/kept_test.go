package podgen

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// keptRules: what is the pod's own and hurts nobody is as in the source.
func keptRules(s sample) []string {
	before, after, identity := s.source.Spec, s.pod.Spec, s.Options.Identity
	var found []string
	same := func(field string, a, b any) {
		found = complain(found, !equality.Semantic.DeepEqual(a, b), "%s: %v is %v", field, a, b)
	}
	same("securityContext", before.SecurityContext, after.SecurityContext)
	same("nodeSelector", before.NodeSelector, after.NodeSelector)
	same("runtimeClassName", before.RuntimeClassName, after.RuntimeClassName)
	same("host namespaces", []bool{before.HostNetwork, before.HostPID, before.HostIPC},
		[]bool{after.HostNetwork, after.HostPID, after.HostIPC})
	same("hostUsers", before.HostUsers, after.HostUsers)
	same("DNS", before.DNSConfig, after.DNSConfig)
	same("dnsPolicy", before.DNSPolicy, after.DNSPolicy)
	same("shareProcessNamespace", before.ShareProcessNamespace, after.ShareProcessNamespace)
	same("enableServiceLinks", before.EnableServiceLinks, after.EnableServiceLinks)
	if s.Options.Overrides.Patch == "" {
		same("schedulerName", before.SchedulerName, after.SchedulerName)
		same("hostAliases", before.HostAliases, after.HostAliases)
	}
	if identity.ServiceAccount == "" {
		same("serviceAccountName", before.ServiceAccountName, after.ServiceAccountName)
	}
	if !identity.NoToken {
		same("automountServiceAccountToken", before.AutomountServiceAccountToken,
			after.AutomountServiceAccountToken)
	}
	for _, secret := range before.ImagePullSecrets {
		found = complain(found, !slices.Contains(after.ImagePullSecrets, secret), "pull secret %s is lost",
			secret.Name)
	}
	return found
}

func containerRules(s sample) []string {
	var found []string
	o := s.Options
	for _, c := range s.pod.Spec.Containers {
		chosen := c.Name == s.Target.Container
		found = complain(found,
			!chosen && !o.Components.WithAll && !slices.Contains(o.Components.With, c.Name), "%s runs too",
			c.Name)
	}
	for _, c := range s.source.Spec.Containers {
		wanted := c.Name == s.Target.Container || o.Components.WithAll || slices.Contains(o.Components.With,
			c.Name)
		found = complain(found, wanted != runs(s.pod.Spec, c.Name), "%s is wanted: %v", c.Name, wanted)
	}
	found = append(found, initRules(s)...)
	for _, after := range slices.Concat(s.pod.Spec.InitContainers, s.pod.Spec.Containers) {
		before := sourceOf(s, after.Name)
		if before == nil {
			found = complain(found, after.Name != owned.ToolboxName || o.Toolbox == "",
				"%s comes from nowhere", after.Name)
			continue
		}
		found = append(found, sameContainer(s, *before, after)...)
	}
	return found
}

func sameContainer(s sample, before, after corev1.Container) []string {
	want, o := before.SecurityContext.DeepCopy(), s.Options
	if o.Identity.UID != nil && after.Name == s.Target.Container {
		if want == nil {
			want = &corev1.SecurityContext{}
		}
		want.RunAsUser = o.Identity.UID
		if o.Identity.GID != nil {
			want.RunAsGroup = o.Identity.GID
		}
	}
	found := complain(nil, !equality.Semantic.DeepEqual(want, after.SecurityContext),
		"%s: its security context is %v", after.Name, after.SecurityContext)
	found = complain(found, !equality.Semantic.DeepEqual(before.EnvFrom, after.EnvFrom), "%s: envFrom",
		after.Name)
	found = complain(found, before.WorkingDir != after.WorkingDir, "%s: folder %s", after.Name,
		after.WorkingDir)
	pull := before.ImagePullPolicy
	if o.Image != "" && after.Name == s.Target.Container {
		pull = "" // the API derives it from the image
	}
	found = complain(found, pull != after.ImagePullPolicy, "%s: pull policy %s", after.Name,
		after.ImagePullPolicy)
	return complain(found, before.Image != after.Image && o.Image == "" && !o.Pin, "%s: image %s", after.Name,
		after.Image)
}

// initRules: the wanted ones run, in their order.
func initRules(s sample) []string {
	parts, before := s.Options.Components, namesOf(s.source.Spec.InitContainers)
	after := slices.DeleteFunc(namesOf(s.pod.Spec.InitContainers),
		func(name string) bool { return name == owned.ToolboxName })
	ordered := slices.DeleteFunc(slices.Clone(before),
		func(name string) bool { return !slices.Contains(after, name) })
	found := complain(nil, !slices.Equal(after, ordered), "init containers %v are in another order: %v",
		before, after)
	for _, c := range s.source.Spec.InitContainers {
		has := slices.Contains(after, c.Name)
		switch {
		case isSidecar(c):
			found = complain(found, has != (parts.WithAll || slices.Contains(parts.With, c.Name)),
				"sidecar %s runs: %v", c.Name, has)
		case parts.Init == plan.InitAll:
			found = complain(found, !has, "init container %s does not run", c.Name)
		case parts.Init == plan.InitNone:
			found = complain(found, has, "init container %s runs", c.Name)
		case parts.Init == plan.InitNamed:
			found = complain(found, has != slices.Contains(parts.InitNames, c.Name),
				"init container %s runs: %v", c.Name, has)
		}
	}
	return found
}

// placeRules: other pods have no say in where the clone runs, nodes have the same.
func placeRules(s sample) []string {
	before, after := s.source.Spec, s.pod.Spec
	found := complain(nil, len(after.TopologySpreadConstraints) > 0, "topology spread")
	found = complain(found,
		after.Affinity != nil && (after.Affinity.PodAffinity != nil || after.Affinity.PodAntiAffinity != nil),
		"pod affinity")
	for _, t := range before.Tolerations {
		automatic := t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable
		kept := slices.ContainsFunc(after.Tolerations,
			func(k corev1.Toleration) bool { return equality.Semantic.DeepEqual(t, k) })
		found = complain(found, automatic == kept, "toleration of %s: %v", t.Key, kept)
	}
	if before.Affinity != nil && before.Affinity.NodeAffinity != nil {
		kept := after.Affinity != nil && after.Affinity.NodeAffinity != nil
		found = complain(found, !kept || !equality.Semantic.DeepEqual(preferred(before), preferred(after)),
			"node affinity")
	}
	return found
}

func preferred(spec corev1.PodSpec) []corev1.PreferredSchedulingTerm {
	return spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
}
