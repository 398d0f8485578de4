package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
)

// profiles are the values of --profile.
func profiles() []string {
	names := []string{"auto"}
	for _, p := range []profile.Profile{profile.General, profile.Baseline, profile.Restricted,
		profile.Netadmin, profile.Sysadmin} {
		names = append(names, string(p))
	}
	return names
}

// parseDebug validates the flags of debug mode.
func (f *flags) parseDebug(ctx context.Context, o *plan.DebugOptions) error {
	if f.profile != "auto" {
		o.Profile = profile.Profile(f.profile)
	}
	err := cmp.Or(
		oneOf("profile", f.profile, append(profiles(), "")...),
		f.parseInherit(o),
		refuse(o.Profile != profile.Auto && f.set.Changed("inherit") && !o.Without.Security,
			"--inherit security cannot be combined with --profile",
			"the security is the target's or the profile's: leave out one of them"),
	)
	if err != nil || f.custom == "" {
		return err
	}
	o.Custom, err = readCustom(ctx, f.custom, f.validate)
	return err
}

func (f *flags) parseInherit(o *plan.DebugOptions) error {
	for _, part := range f.inherit {
		if err := oneOf("inherit", part, "env", "volumes", "security", "none"); err != nil {
			return err
		}
	}
	if !f.set.Changed("inherit") {
		return nil
	}
	has := func(part string) bool { return slices.Contains(f.inherit, part) }
	o.Without = plan.Parts{Env: !has("env"), Volumes: !has("volumes"), Security: !has("security")}
	return cmp.Or(
		refuse(len(f.inherit) == 0, "--inherit is empty", "--inherit none inherits nothing"),
		refuse(has("none") && len(f.inherit) > 1, "--inherit none goes with no other part", ""),
	)
}

// maxCustom is the size of the longest partial container that is read, in bytes.
const maxCustom = 1 << 20

// readCustom reads a partial container, in YAML or JSON. An unknown field is an error, but for --validate
// ignore. So is a field that kubectl debug refuses, or that belongs to the session's process.
func readCustom(ctx context.Context, path, validate string) (*corev1.Container, error) {
	text, err := readInput(ctx, path, nil, maxCustom)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--custom: %w", err)
	case len(text) > maxCustom:
		return nil, fmt.Errorf("--custom %s is longer than %d bytes", path, maxCustom)
	}
	var c corev1.Container
	read := yaml.UnmarshalStrict
	if validate == "ignore" || validate == "false" {
		read = yaml.Unmarshal
	}
	if err := read(text, &c); err != nil {
		return nil, fmt.Errorf("--custom %s is no partial container: %w", path, err)
	}
	for _, part := range []struct {
		field string
		isSet bool
	}{
		{"name", c.Name != ""}, {"command", len(c.Command) > 0}, {"args", len(c.Args) > 0},
		{"image", c.Image != ""}, {"lifecycle", c.Lifecycle != nil},
		{"volumeDevices", len(c.VolumeDevices) > 0}, {"stdin", c.Stdin}, {"stdinOnce", c.StdinOnce},
		{"tty", c.TTY},
	} {
		if part.isSet {
			return nil, fmt.Errorf("--custom %s sets %s, which it is not allowed to change", path, part.field)
		}
	}
	return &c, nil
}
