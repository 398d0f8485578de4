package podgen

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func containerName(i int) string { return fmt.Sprintf("container-%d", i) }

// container is what all kinds of containers have.
func (g *generator) container(name string) corev1.Container {
	c := corev1.Container{
		Name: name, Image: pick(g, "registry.example.com/api:1", "busybox", "api@sha256:"+digest),
		Command: some(g, 0.5, func() []string { return []string{"/bin/server", "--name=$(NAME_0)"} }),
		Args:    some(g, 0.5, func() []string { return []string{"serve", "$$HOME"} }),
		Env:     g.env(), EnvFrom: g.envFrom(), Ports: g.ports(),
		WorkingDir: pick(g, "", "/srv"), ImagePullPolicy: pick(g, "", corev1.PullAlways, corev1.PullNever),
		TerminationMessagePath: pick(g, "", "/dev/end"),
		TerminationMessagePolicy: pick(g, "", corev1.TerminationMessageReadFile,
			corev1.TerminationMessageFallbackToLogsOnError),
		Resources:       g.resources(),
		SecurityContext: some(g, 0.6, g.security),
		Stdin:           g.maybe(0.1), StdinOnce: g.maybe(0.1), TTY: g.maybe(0.1),
	}
	g.mounts(&c)
	return c
}

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (g *generator) mainContainer(i int) corev1.Container {
	c := g.container(containerName(i))
	g.serves(&c)
	if g.maybe(0.2) {
		c.RestartPolicy = new(pick(g, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever,
			corev1.ContainerRestartPolicyOnFailure))
		c.RestartPolicyRules = g.restartRules()
	}
	return c
}

// serves adds what only a container that keeps running may have.
func (g *generator) serves(c *corev1.Container) {
	g.probes(c)
	c.Lifecycle = some(g, 0.3, func() *corev1.Lifecycle { return g.lifecycle(c) })
	c.ResizePolicy = g.resizePolicy(true)
}

// initContainer is one that ends, or a sidecar.
func (g *generator) initContainer(i int) corev1.Container {
	c := g.container(fmt.Sprintf("init-%d", i))
	switch {
	case g.maybe(0.5):
		g.serves(&c)
		c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	case g.maybe(0.2):
		c.RestartPolicy = new(pick(g, corev1.ContainerRestartPolicyNever,
			corev1.ContainerRestartPolicyOnFailure))
		c.RestartPolicyRules = g.restartRules()
	default:
		c.ResizePolicy = g.resizePolicy(false)
	}
	return c
}

func (g *generator) restartRules() []corev1.ContainerRestartRule {
	return list(g, 0, 2, func(int) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{
			Action: pick(g, corev1.ContainerRestartRuleActionRestart,
				corev1.ContainerRestartRuleActionRestartAllContainers),
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
				Operator: pick(g, corev1.ContainerRestartRuleOnExitCodesOpIn,
					corev1.ContainerRestartRuleOnExitCodesOpNotIn), Values: []int32{1, 42}},
		}
	})
}
