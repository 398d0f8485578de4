package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// keepInitContainers keeps the chosen init containers. By default these are the ones that prepare a volume
// for the containers that run, for example by writing their configuration. The others migrate, register or
// wait for peers.
func (c *clone) keepInitContainers() error {
	preparing := c.preparing()
	c.spec.InitContainers = slices.DeleteFunc(c.spec.InitContainers, func(init corev1.Container) bool {
		return !containers.IsSidecar(init) && !c.initializes(init, slices.Contains(preparing, init.Name))
	})
	return nil
}

func (c *clone) initializes(init corev1.Container, prepares bool) bool {
	chosen := c.options.Components.Init
	runs, reason := false, hint.Command("--init %s", string(chosen))
	switch chosen {
	case InitAll:
		runs = true
	case InitNone:
	case InitNamed:
		runs, reason = slices.Contains(c.options.Components.InitNames, init.Name),
			hint.Command("--init %s", strings.Join(c.options.Components.InitNames, ","))
	default:
		runs, reason = prepares,
			hint.Command("it prepares no volume of the clone's own; --init %s runs it", init.Name)
		if prepares {
			reason = "it prepares a volume for container " + c.workload.Container
		}
	}
	if runs {
		c.note(Changed, "init container "+init.Name+" runs", reason)
	} else {
		c.note(LeftOut, "init container "+init.Name, reason)
	}
	return runs
}

// checkInit refuses names that are not names of init containers.
func (c *clone) checkInit() error {
	names := c.options.Components.InitNames
	var known []string
	for _, init := range c.workload.Template.Spec.InitContainers {
		if !containers.IsSidecar(init) {
			known = append(known, init.Name)
		} else if slices.Contains(names, init.Name) {
			return hint.Wrap(fmt.Errorf("--init: %s is a sidecar", init.Name),
				hint.Command("run it: --with %s", init.Name))
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return hint.Wrap(fmt.Errorf("--init: %s has no init container %q", c.workload, name),
				"init containers: "+cmp.Or(strings.Join(known, ", "), "none"))
		}
	}
	return nil
}

// preparing returns the names of the init containers that write to a volume that the containers mount, or to
// a volume for another such init container. A volume that outlives its pods does not count. It has already
// been prepared, and is not the clone's to change.
func (c *clone) preparing() []string {
	users := slices.Clone(c.spec.Containers)
	needed := func(volume string) bool {
		return c.isNew(volume) && slices.ContainsFunc(users,
			func(user corev1.Container) bool { return mounts(user, volume) })
	}
	var names []string
	for _, init := range slices.Backward(c.spec.InitContainers) {
		if containers.IsSidecar(init) || writes(init, needed) {
			users = append(users, init)
			names = append(names, init.Name)
		}
	}
	return names
}

func writes(init corev1.Container, needed func(volume string) bool) bool {
	return slices.ContainsFunc(init.VolumeMounts,
		func(m corev1.VolumeMount) bool { return !m.ReadOnly && needed(m.Name) }) ||
		slices.ContainsFunc(init.VolumeDevices, func(d corev1.VolumeDevice) bool { return needed(d.Name) })
}

// isNew reports whether a volume is empty when the clone starts, so that the clone has to fill it. The others
// have already been filled by somebody else.
func (c *clone) isNew(name string) bool {
	for _, claim := range c.workload.ClaimTemplates {
		if claim.Name == name {
			return !c.sharesTemplates()
		}
	}
	for _, volume := range c.spec.Volumes {
		if volume.Name == name {
			return volume.EmptyDir != nil || volume.Ephemeral != nil || volume.CSI != nil ||
				volume.PersistentVolumeClaim != nil && c.options.Components.Volumes == VolumesFresh
		}
	}
	return false
}
