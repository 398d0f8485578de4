package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Build makes the binaries and images that aren't in the cache yet.
func (c *Cluster) Build(ctx context.Context, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return ErrUnsupported
	}
	if _, err := stagingVersion(c.Version); err != nil {
		return err
	}
	if err := installPackages(ctx, progress); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Cache, 0o755); err != nil {
		return err
	}
	if err := c.buildImages(ctx); err != nil {
		return err
	}
	if len(c.missingTools()) == 0 { // asked without the lock, which the build of another version might have
		return nil
	}
	unlock, err := lock(ctx, c.Cache, progress)
	if err != nil {
		return err
	}
	defer unlock()
	return c.buildTools(ctx, progress)
}

// ImageArchive makes the images, if they aren't in the cache yet, and returns the path of their
// archive, in Docker's format: another cluster can load them.
func (c *Cluster) ImageArchive(ctx context.Context, progress io.Writer) (string, error) {
	if err := installPackages(ctx, progress); err != nil {
		return "", err
	}
	if err := os.MkdirAll(c.Cache, 0o755); err != nil {
		return "", err
	}
	return c.imageArchive(), c.buildImages(ctx)
}

func (c *Cluster) missingTools() []toolset {
	return slices.DeleteFunc(toolsets(c.Version), func(t toolset) bool {
		_, err := os.Stat(c.cached(t.name))
		return err == nil
	})
}

func (c *Cluster) buildTools(ctx context.Context, progress io.Writer) error {
	missing, total := c.missingTools(), 0
	for _, tools := range missing {
		total += len(tools.programs)
	}
	m := newMeter(progress, total)
	for _, tools := range missing {
		if err := c.buildToolset(ctx, tools, m); err != nil {
			return fmt.Errorf("build %s: %w", tools.name, err)
		}
	}
	return nil
}

// buildToolset builds beside the final folder and renames at the end, so a build that is
// killed leaves nothing that looks finished.
func (c *Cluster) buildToolset(ctx context.Context, t toolset, m *meter) error {
	partial := c.cached(t.name) + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	source := filepath.Join(partial, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	if err := m.during("fetching "+t.module+" "+t.version,
		func() error { return c.writeModule(ctx, t, source) }); err != nil {
		return err
	}
	for _, p := range t.programs {
		m.next()
		err := m.during("building "+p.name+" "+t.version, func() error {
			_, err := c.goRun(ctx, source, "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w"+t.ldflags,
				"-o", filepath.Join(partial, p.name), p.pkg)
			return err
		})
		if err != nil {
			return err
		}
	}
	return os.Rename(partial, c.cached(t.name))
}

func (c *Cluster) writeModule(ctx context.Context, t toolset, folder string) error {
	staging, err := c.staging(ctx, t)
	if err != nil {
		return err
	}
	text, err := goMod(t, staging)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "go.mod"), []byte(text), 0o644)
}

// staging reads t's own go.mod.
func (c *Cluster) staging(ctx context.Context, t toolset) (staging, error) {
	var found staging
	out, err := c.goRun(ctx, os.TempDir(), "mod", "download", "-json", t.module+"@v"+t.version)
	if err != nil {
		return found, err
	}
	var download struct{ GoMod string }
	if err := json.Unmarshal(out, &download); err != nil {
		return found, err
	}
	if out, err = c.goRun(ctx, os.TempDir(), "mod", "edit", "-json", download.GoMod); err != nil {
		return found, err
	}
	return parseStaging(out)
}

// cached is the path of a name in the cache.
func (c *Cluster) cached(name string) string { return filepath.Join(c.Cache, name) }

// goRun runs the go command in a folder and returns its output; what it says on stderr becomes the error.
func (c *Cluster) goRun(ctx context.Context, folder string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	if os.Getenv("HOME") == "" {
		command.Env = append(command.Env, "GOPATH="+c.cached("go"), "GOCACHE="+c.cached("go-build"))
	}
	return output(command)
}

// output runs a command; its error carries everything that the command said on stderr.
func output(command *exec.Cmd) ([]byte, error) {
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
		if text := strings.TrimSpace(complaint.String()); text != "" {
			err = errors.Join(err, errors.New(text))
		}
	}
	return out, err
}
