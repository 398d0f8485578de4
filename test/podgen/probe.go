package podgen

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ports takes numbers that no other container of the pod has: on the host's network they would
// collide.
func (g *generator) ports() []corev1.ContainerPort {
	return list(g, 0, 2, func(i int) corev1.ContainerPort {
		g.port++
		p := corev1.ContainerPort{ContainerPort: g.port,
			Protocol: pick(g, "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)}
		p.Name = pick(g, "", fmt.Sprintf("port-%d", i))
		if g.maybe(0.2) {
			p.HostPort = g.port
			p.HostIP = pick(g, "", "127.0.0.1")
		}
		return p
	})
}

// portOf is one of the container's, by name where it has one, or any.
func (g *generator) portOf(c *corev1.Container) intstr.IntOrString {
	if len(c.Ports) == 0 {
		return intstr.FromInt32(8080)
	}
	p := pick(g, c.Ports...)
	if p.Name != "" && g.maybe(0.7) {
		return intstr.FromString(p.Name)
	}
	return intstr.FromInt32(p.ContainerPort)
}

func (g *generator) probes(c *corev1.Container) {
	c.LivenessProbe = some(g, 0.4, func() *corev1.Probe { return g.probe(c, true) })
	c.StartupProbe = some(g, 0.4, func() *corev1.Probe { return g.probe(c, true) })
	c.ReadinessProbe = some(g, 0.4, func() *corev1.Probe { return g.probe(c, false) })
}

// probe may kill the container, or else may need more than one success.
func (g *generator) probe(c *corev1.Container, kills bool) *corev1.Probe {
	p := &corev1.Probe{
		ProbeHandler:        g.probeHandler(c),
		InitialDelaySeconds: pick[int32](g, 0, 5), TimeoutSeconds: pick[int32](g, 0, 3),
		PeriodSeconds: pick[int32](g, 0, 10), FailureThreshold: pick[int32](g, 0, 30), SuccessThreshold: 1,
	}
	if kills {
		p.TerminationGracePeriodSeconds = optional[int64](g, 1, 60)
	} else {
		p.SuccessThreshold = pick[int32](g, 1, 3)
	}
	return p
}

func (g *generator) probeHandler(c *corev1.Container) corev1.ProbeHandler {
	switch g.between(0, 3) {
	case 0:
		return corev1.ProbeHandler{Exec: exec()}
	case 1:
		return corev1.ProbeHandler{HTTPGet: g.httpGet(c)}
	case 2:
		return corev1.ProbeHandler{TCPSocket: g.tcpSocket(c)}
	}
	return corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 9090, Service: optional(g, "", "health")}}
}

func (g *generator) lifecycle(c *corev1.Container) *corev1.Lifecycle {
	handler := func() *corev1.LifecycleHandler {
		switch g.between(0, 3) {
		case 0:
			return &corev1.LifecycleHandler{Exec: exec()}
		case 1:
			return &corev1.LifecycleHandler{HTTPGet: g.httpGet(c)}
		case 2:
			return &corev1.LifecycleHandler{TCPSocket: g.tcpSocket(c)}
		}
		return &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: g.grace}}
	}
	return &corev1.Lifecycle{PostStart: some(g, 0.5, handler), PreStop: some(g, 0.5, handler)}
}

func exec() *corev1.ExecAction {
	return &corev1.ExecAction{Command: []string{"sh", "-c", "test -e /tmp/ok"}}
}

func (g *generator) httpGet(c *corev1.Container) *corev1.HTTPGetAction {
	return &corev1.HTTPGetAction{
		Path: "/healthz", Port: g.portOf(c), Host: pick(g, "", "localhost"),
		Scheme: pick(g, "", corev1.URISchemeHTTP, corev1.URISchemeHTTPS),
		HTTPHeaders: some(g, 0.3,
			func() []corev1.HTTPHeader { return []corev1.HTTPHeader{{Name: "Host", Value: "api"}} }),
	}
}

func (g *generator) tcpSocket(c *corev1.Container) *corev1.TCPSocketAction {
	return &corev1.TCPSocketAction{Port: g.portOf(c), Host: pick(g, "", "localhost")}
}
