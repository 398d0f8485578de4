package embedded

import (
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
	"time"
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
	c.settleClient(ctx, progress)
	return c.buildMissing(ctx, progress, c.toolsets()...)
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

// buildMissing builds those toolsets that aren't in the cache.
func (c *Cluster) buildMissing(ctx context.Context, progress io.Writer, toolsets ...toolset) error {
	cached := func(t toolset) bool {
		_, err := os.Stat(c.cached(t.name))
		return err == nil
	}
	missing := slices.DeleteFunc(slices.Clone(toolsets), cached)
	if len(missing) == 0 { // asked without the lock, which the build of another version might have
		return nil
	}
	unlock, err := lock(ctx, c.Cache, progress)
	if err != nil {
		return err
	}
	defer unlock()
	return c.buildTools(ctx, progress, slices.DeleteFunc(missing, cached))
}

// buildTools first looks at all that there is to build, so that it can say how far it is.
func (c *Cluster) buildTools(ctx context.Context, progress io.Writer, missing []toolset) error {
	m := newMeter(progress)
	for _, tools := range missing {
		if err := m.during("fetching "+tools.title, func() error {
			todo, err := c.prepareTools(ctx, tools)
			m.add(tools.name, todo)
			return err
		}); err != nil {
			return fmt.Errorf("fetch %s: %w", tools.title, err)
		}
	}
	m.begin()
	for _, tools := range missing {
		if err := m.during("building "+tools.title, func() error {
			return c.compileTools(ctx, tools, func(pkg string) bool { return m.built(tools.name, pkg) })
		}); err != nil {
			return fmt.Errorf("build %s: %w", tools.title, err)
		}
	}
	return nil
}

// partial is where t is built before it has its final name, so that a build that was killed leaves nothing
// that looks finished. It stays: the next one takes what is there, and Go's cache has each compiled package.
func (c *Cluster) partial(t toolset) string { return c.cached(t.name) + ".partial" }

func (c *Cluster) source(t toolset) string { return filepath.Join(c.partial(t), "source") }

// prepareTools writes t's module, fetches all that it needs and returns the packages to compile.
func (c *Cluster) prepareTools(ctx context.Context, t toolset) ([]sourcePackage, error) {
	if err := os.MkdirAll(c.source(t), 0o755); err != nil {
		return nil, err
	}
	if err := c.writeModule(ctx, t); err != nil {
		return nil, err
	}
	if err := c.writeBinaries(ctx, t); err != nil {
		return nil, err
	}
	// Without EmbedFiles the packages that embed files would be looked for in Go's cache as if they had none.
	words := t.goWords("list", "-deps", "-json=ImportPath,Dir,GoFiles,Stale,EmbedFiles")
	out, err := c.goRun(ctx, c.source(t), words...)
	if err != nil {
		return nil, err
	}
	return parsePackages(out)
}

// compileTools reports each package when the compiler begins with it; the answer is whether it is one.
func (c *Cluster) compileTools(ctx context.Context, t toolset, began func(pkg string) bool) error {
	words := t.goWords("build", "-v", "-ldflags", "-s -w"+t.ldflags, "-o", c.partial(t)+"/")
	if _, err := outputExcept(c.goCommand(ctx, c.source(t), words...), began); err != nil {
		return err
	}
	return os.Rename(c.partial(t), c.cached(t.name))
}

// goWords are a go command about t's binaries.
func (t toolset) goWords(words ...string) []string {
	words = append(words, "-mod=mod", "-tags", buildTags)
	return append(append(words, buildFlags()...), t.targets()...)
}

func (c *Cluster) writeModule(ctx context.Context, t toolset) error {
	staging, err := c.staging(ctx, t)
	if err != nil {
		return err
	}
	text, err := goMod(t, staging)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.source(t), "go.mod"), []byte(text), 0o644)
}

// writeBinaries makes one main package of those of several programs, where a binary has several.
func (c *Cluster) writeBinaries(ctx context.Context, t toolset) error {
	words := []string{"list", "-mod=mod", "-tags", buildTags, "-json=ImportPath,Dir,GoFiles"}
	for _, b := range t.binaries {
		for _, p := range b.programs {
			words = append(words, p.pkg)
		}
	}
	out, err := c.goRun(ctx, c.source(t), words...)
	if err != nil {
		return err
	}
	found, err := parsePackages(out)
	if err != nil {
		return err
	}
	for _, b := range t.binaries {
		if len(b.programs) > 1 {
			err = errors.Join(err, t.writeBinary(b, filepath.Join(c.source(t), b.name), found))
		}
	}
	return err
}

func (t toolset) writeBinary(b binary, folder string, mains []sourcePackage) error {
	for _, p := range b.programs {
		i := slices.IndexFunc(mains, func(main sourcePackage) bool { return main.ImportPath == p.pkg })
		if i < 0 {
			return fmt.Errorf("go list doesn't know %s", p.pkg)
		}
		if err := mains[i].copyAsLibrary(filepath.Join(folder, p.name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "main.go"), []byte(t.dispatcher(b)), 0o644)
}

// copyAsLibrary copies a main package from Go's module cache, as one that can be imported.
func (p sourcePackage) copyAsLibrary(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range p.GoFiles {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return err
		}
		library := []byte(asLibrary(string(text)))
		if err := os.WriteFile(filepath.Join(folder, name), library, 0o644); err != nil {
			return err
		}
	}
	return nil
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

// goRun runs the go command in a folder and returns its output.
func (c *Cluster) goRun(ctx context.Context, folder string, args ...string) ([]byte, error) {
	return output(c.goCommand(ctx, folder, args...))
}

// goEnd is longer than the compiler takes for any one package.
const goEnd = time.Minute

// goCommand is asked to end when ctx does: no compiler is left behind, and what has been compiled is kept.
//
// The compiler and the linker collect no garbage below a gigabyte: few need as much, and it is a fifth of
// their work. What the caller has set is kept.
func (c *Cluster) goCommand(ctx context.Context, folder string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = goEnd
	command.Dir = folder
	command.Env = append([]string{"GOGC=off", "GOMEMLIMIT=1GiB"}, os.Environ()...)
	command.Env = append(command.Env, "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	if os.Getenv("HOME") == "" {
		command.Env = append(command.Env, "GOPATH="+c.cached("go"), "GOCACHE="+c.cached("go-build"))
	}
	return command
}

// output runs a command; its error carries everything that the command said on stderr.
func output(command *exec.Cmd) ([]byte, error) {
	return outputExcept(command, func(string) bool { return false })
}

// outputExcept hands each line on stderr to expected, when it is written; the error carries those of which
// that says no.
func outputExcept(command *exec.Cmd, expected func(line string) bool) ([]byte, error) {
	complaint := &lines{expected: expected}
	command.Stderr = complaint
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
		if text := strings.TrimSpace(complaint.others + complaint.begun); text != "" {
			err = errors.Join(err, errors.New(text))
		}
	}
	return out, err
}

// lines is a writer that parts what it gets into lines.
type lines struct {
	expected      func(line string) bool
	begun, others string
}

func (l *lines) Write(data []byte) (int, error) {
	l.begun += string(data)
	for {
		line, rest, complete := strings.Cut(l.begun, "\n")
		if !complete {
			return len(data), nil
		}
		l.begun = rest
		if !l.expected(line) {
			l.others += line + "\n"
		}
	}
}
