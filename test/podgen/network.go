package podgen

import corev1 "k8s.io/api/core/v1"

func (g *generator) network(spec *corev1.PodSpec) {
	spec.HostNetwork, spec.HostPID, spec.HostIPC = g.host.network, g.host.pid, g.host.ipc
	spec.HostUsers = optional(g, true)
	if g.host.ownUsers {
		spec.HostUsers = new(false)
	}
	if !g.host.pid {
		spec.ShareProcessNamespace = optional(g, true, false)
	}
	g.hostname(spec)
	spec.HostAliases = some(g, 0.2,
		func() []corev1.HostAlias {
			return []corev1.HostAlias{{IP: "10.1.2.3",
				Hostnames: []string{"legacy"}}}
		})
	spec.DNSPolicy = pick(g, "", corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSClusterFirstWithHostNet,
		corev1.DNSNone)
	if spec.DNSPolicy == corev1.DNSNone || g.maybe(0.2) {
		spec.DNSConfig = &corev1.PodDNSConfig{
			Nameservers: []string{"10.96.0.10"}, Searches: subset(g, 0.5, "shop.svc.cluster.local", "."),
			Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: optional(g, "2")}},
		}
	}
	spec.EnableServiceLinks = optional(g, true, false)
}

// hostname is given in one of two ways, which exclude each other.
func (g *generator) hostname(spec *corev1.PodSpec) {
	if !g.host.network && g.maybe(0.1) {
		spec.HostnameOverride = new("api.shop.example.com")
		return
	}
	spec.Hostname = pick(g, "", "", "api-0")
	spec.Subdomain = pick(g, "", "", "api")
	spec.SetHostnameAsFQDN = optional(g, true, false)
}
