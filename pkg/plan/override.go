package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// override applies what the user wants to be different about the chosen container.
func (c *clone) override() error {
	main := c.main()
	if c.options.Image != "" {
		main.Image = c.options.Image
		c.note(Changed, "image "+main.Image, "--image")
	}
	if c.workload.Indexed && !slices.ContainsFunc(main.Env,
		func(e corev1.EnvVar) bool { return e.Name == "JOB_COMPLETION_INDEX" }) {
		c.note(Warning, "JOB_COMPLETION_INDEX is not set",
			"each pod of "+c.workload.String()+" is given its own; set one with -e JOB_COMPLETION_INDEX=0")
	}
	c.resize(corev1.ResourceCPU, c.options.CPU)
	c.resize(corev1.ResourceMemory, c.options.Memory)
	c.keepDevices()
	return c.pin()
}

// changeEnv notes names only: a value may be a secret.
func (c *clone) changeEnv() error {
	main := c.main()
	env, unset := mergeEnv(main.Env, c.options.Env)
	main.Env = env
	for _, change := range c.options.Env {
		switch {
		case slices.Contains(unset, change.Name):
		case change.Remove:
			c.note(Detail, "variable "+change.Name+" is removed", "--env")
		default:
			c.note(Detail, "variable "+change.Name+" is set", "--env")
		}
	}
	for _, name := range unset {
		c.notes = append(c.notes, unsetNote(name))
	}
	return nil
}

// pin takes the images that run, by their digests: a tag may have moved since.
func (c *clone) pin() error {
	if !c.options.Pin {
		return nil
	}
	for _, container := range c.containers() {
		image, known := c.workload.Running[container.Name]
		switch {
		case known:
			container.Image = image
			c.note(Changed, "image "+image, "container "+container.Name+" runs it")
		case container.Name == c.workload.Container:
			return hint.Wrap(fmt.Errorf("--pin: the image that container %s runs has no digest in a registry",
				container.Name), "leave out --pin for the image of the template: "+container.Image)
		default:
			c.note(Warning, "image "+container.Image+" of container "+container.Name+" is not pinned",
				"the one that runs has no digest in a registry")
		}
	}
	return nil
}
