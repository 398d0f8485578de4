package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// identify gives the session the rights of the application, or those that were asked for. A
// securityContext is never weakened.
func (c *clone) identify() error {
	identity := c.options.Identity
	if identity.ServiceAccount != "" {
		c.spec.ServiceAccountName = identity.ServiceAccount
		c.note(Changed, "service account "+identity.ServiceAccount, "--service-account")
	} else if name := c.spec.ServiceAccountName; name != "" && name != "default" && !identity.NoToken {
		c.note(Kept, "service account "+name, "the shell has its rights")
	}
	c.spec.DeprecatedServiceAccount = "" // the server fills it in from serviceAccountName
	for _, secret := range identity.PullSecrets {
		if !slices.Contains(c.spec.ImagePullSecrets, corev1.LocalObjectReference{Name: secret}) {
			c.spec.ImagePullSecrets = append(c.spec.ImagePullSecrets,
				corev1.LocalObjectReference{Name: secret})
			c.note(Detail, "image pull secret "+secret, "--image-pull-secret")
		}
	}
	if identity.NoToken {
		c.withoutTokens()
	}
	return c.asUser()
}

// withoutTokens leaves every token out: the one that is mounted by itself and projected ones.
func (c *clone) withoutTokens() {
	c.spec.AutomountServiceAccountToken = new(false)
	for i := range c.spec.Volumes {
		if projected := c.spec.Volumes[i].Projected; projected != nil {
			projected.Sources = slices.DeleteFunc(projected.Sources,
				func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil })
		}
	}
	c.note(LeftOut, "the service account's token", "--no-token; one that is in a mounted Secret stays")
}

func (c *clone) asUser() error {
	identity, main := c.options.Identity, c.main()
	if identity.UID == nil {
		return nil
	}
	if *identity.UID == 0 && mustNotBeRoot(c.spec, *main) {
		return fmt.Errorf("--as-user 0: container %s must not run as root (runAsNonRoot)", main.Name)
	}
	if main.SecurityContext == nil {
		main.SecurityContext = &corev1.SecurityContext{}
	}
	main.SecurityContext.RunAsUser = identity.UID
	user := fmt.Sprintf("user %d", *identity.UID)
	if identity.GID != nil {
		main.SecurityContext.RunAsGroup = identity.GID
		user += fmt.Sprintf(", group %d", *identity.GID)
	}
	c.note(Changed, user, "--as-user")
	return nil
}

// mustNotBeRoot reads runAsNonRoot: the container's own wins over the pod's.
func mustNotBeRoot(spec corev1.PodSpec, container corev1.Container) bool {
	if own := container.SecurityContext; own != nil && own.RunAsNonRoot != nil {
		return *own.RunAsNonRoot
	}
	return spec.SecurityContext != nil && spec.SecurityContext.RunAsNonRoot != nil &&
		*spec.SecurityContext.RunAsNonRoot
}

// userOf is the user that the spec names for a container, or nil where it is the image's.
func userOf(spec corev1.PodSpec, container corev1.Container) *int64 {
	if own := container.SecurityContext; own != nil && own.RunAsUser != nil {
		return own.RunAsUser
	}
	if spec.SecurityContext != nil {
		return spec.SecurityContext.RunAsUser
	}
	return nil
}
