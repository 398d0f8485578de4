package podgen

import (
	corev1 "k8s.io/api/core/v1"
)

// hostNamespaces are decided before all else: much may not go together with them.
type hostNamespaces struct {
	network, pid, ipc bool
	ownUsers          bool // hostUsers: false
}

func (g *generator) hostNamespaces() hostNamespaces {
	if g.maybe(0.2) {
		return hostNamespaces{ownUsers: true}
	}
	return hostNamespaces{network: g.maybe(0.15), pid: g.maybe(0.15), ipc: g.maybe(0.15)}
}

func (g *generator) podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsUser: optional[int64](g, 0, 1000), RunAsGroup: optional[int64](g, 0, 1000),
		RunAsNonRoot:       optional(g, true, false),
		SupplementalGroups: some(g, 0.3, func() []int64 { return []int64{2000, 3000} }),
		SupplementalGroupsPolicy: optional(g, corev1.SupplementalGroupsPolicyMerge,
			corev1.SupplementalGroupsPolicyStrict),
		FSGroup:             optional[int64](g, 2000),
		FSGroupChangePolicy: optional(g, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch),
		SELinuxOptions:      some(g, 0.2, g.seLinux),
		SELinuxChangePolicy: optional(g, corev1.SELinuxChangePolicyRecursive),
		SeccompProfile:      some(g, 0.3, g.seccomp),
		AppArmorProfile:     some(g, 0.2, g.appArmor),
		Sysctls:             g.sysctls(),
	}
}

func (g *generator) sysctls() []corev1.Sysctl {
	var made []corev1.Sysctl
	if !g.host.network && g.maybe(0.2) {
		made = append(made, corev1.Sysctl{Name: "net.ipv4.ip_local_port_range", Value: "1024 65535"})
	}
	if !g.host.ipc && g.maybe(0.2) {
		made = append(made, corev1.Sysctl{Name: "kernel.shm_rmid_forced", Value: "1"})
	}
	return made
}

func (g *generator) security() *corev1.SecurityContext {
	s := &corev1.SecurityContext{
		RunAsUser: optional[int64](g, 0, 1000), RunAsGroup: optional[int64](g, 0, 1000),
		RunAsNonRoot:           optional(g, true, false),
		ReadOnlyRootFilesystem: optional(g, true, false),
		SELinuxOptions:         some(g, 0.2, g.seLinux),
		SeccompProfile:         some(g, 0.3, g.seccomp),
		AppArmorProfile:        some(g, 0.2, g.appArmor),
		ProcMount:              optional(g, corev1.DefaultProcMount),
		Capabilities: some(g, 0.4, func() *corev1.Capabilities {
			return &corev1.Capabilities{Add: subset[corev1.Capability](g, 0.5, "NET_ADMIN", "SYS_PTRACE"),
				Drop: subset[corev1.Capability](g, 0.5, "ALL")}
		}),
	}
	// A privileged container cannot be kept from gaining privileges.
	switch g.between(0, 3) {
	case 0:
		s.Privileged = new(true)
	case 1:
		s.AllowPrivilegeEscalation = optional(g, true, false)
	}
	if g.host.ownUsers && g.maybe(0.3) {
		s.ProcMount = new(corev1.UnmaskedProcMount)
	}
	return s
}

func privileged(c *corev1.Container) bool {
	return c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
}

func (g *generator) seLinux() *corev1.SELinuxOptions {
	return &corev1.SELinuxOptions{User: "u", Role: "r", Type: "t", Level: pick(g, "", "s0:c1,c2")}
}

func (g *generator) seccomp() *corev1.SeccompProfile {
	kind := pick(g, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined,
		corev1.SeccompProfileTypeLocalhost)
	profile := &corev1.SeccompProfile{Type: kind}
	if kind == corev1.SeccompProfileTypeLocalhost {
		profile.LocalhostProfile = new("profiles/api.json")
	}
	return profile
}

func (g *generator) appArmor() *corev1.AppArmorProfile {
	kind := pick(g, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined,
		corev1.AppArmorProfileTypeLocalhost)
	profile := &corev1.AppArmorProfile{Type: kind}
	if kind == corev1.AppArmorProfileTypeLocalhost {
		profile.LocalhostProfile = new("api")
	}
	return profile
}
