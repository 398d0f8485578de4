package embedded

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the programs inside the images; they travel with this package so that it
// can build them from anywhere.
//
//go:embed programs
var sources embed.FS

// buildImages makes the archive of all images, unless the cache has one of the same content.
func (c *Cluster) buildImages(ctx context.Context) error {
	if _, err := os.Stat(c.imageArchive()); err == nil {
		return nil
	}
	p, err := c.parts(ctx)
	if err != nil {
		return fmt.Errorf("make the images: %w", err)
	}
	partial, err := os.CreateTemp(c.Cache, "images-*.partial") // as many as make it at once
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	defer partial.Close()
	if err := errors.Join(writeArchive(partial, images(p)), partial.Chmod(0o644)); err != nil {
		return fmt.Errorf("write %s: %w", partial.Name(), err)
	}
	return os.Rename(partial.Name(), c.imageArchive())
}

// imageArchive is the cached archive; its name changes with what goes into it.
func (c *Cluster) imageArchive() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v%+v", images(parts{}), append(base(), startFiles()...))
	for _, name := range []string{"pause", "server", "hello"} {
		source, err := sources.ReadFile("programs/" + name + "/main.go")
		fmt.Fprintf(sum, "%s%v", source, err)
	}
	for _, name := range append([]string{"busybox", "bash-static"}, debianPrograms()...) {
		content, err := readProgram(name)
		fmt.Fprintf(sum, "%x%v", sha256.Sum256(content), err)
	}
	return c.cached(fmt.Sprintf("images-%x.tar", sum.Sum(nil)[:6]))
}

func (c *Cluster) parts(ctx context.Context) (parts, error) {
	var p parts
	for _, part := range []struct {
		to   *[]byte
		make func(context.Context) ([]entry, error)
	}{
		{&p.base, func(context.Context) ([]entry, error) { return base(), nil }},
		{&p.busybox, busyboxFiles},
		{&p.bash, bashFiles},
		{&p.dash, dashFiles},
		{&p.debian, debianFiles},
		{&p.app, c.compiled("server", "hello")},
		{&p.start, func(context.Context) ([]entry, error) { return startFiles(), nil }},
		{&p.pause, c.compiled("pause")},
	} {
		entries, err := part.make(ctx)
		if err != nil {
			return p, err
		}
		if *part.to, err = layer(entries); err != nil {
			return p, err
		}
	}
	return p, nil
}

func busyboxFiles(ctx context.Context) ([]entry, error) {
	binary, err := readProgram("busybox")
	if err != nil {
		return nil, err
	}
	list, err := output(exec.CommandContext(ctx, "busybox", "--list"))
	if err != nil {
		return nil, err
	}
	entries := []entry{{path: "bin/busybox", data: binary, mode: 0o755}}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			entries = append(entries, entry{path: "bin/" + applet, link: "busybox"})
		}
	}
	return entries, nil
}

func bashFiles(context.Context) ([]entry, error) {
	binary, err := readProgram("bash-static")
	return []entry{{path: "bin/bash", data: binary, mode: 0o755}}, err
}

// dashFiles brings the libraries along, as there is no static dash.
func dashFiles(ctx context.Context) ([]entry, error) {
	return dynamicFiles(ctx, "dash")
}

// debianPrograms are the programs of the image that has no static one.
func debianPrograms() []string {
	return []string{"dash", "bash", "basename", "cat", "chmod", "chroot", "env", "head", "id", "ln", "ls",
		"mkdir", "od", "printenv", "readlink", "rm", "sed", "sleep", "sort", "stat", "stty", "tail", "touch",
		"tr", "uname", "wc"}
}

func debianFiles(ctx context.Context) ([]entry, error) {
	entries, err := dynamicFiles(ctx, debianPrograms()...)
	return append(entries, entry{path: "bin/greet", mode: 0o755,
		data: []byte("#!/bin/sh\necho \"greetings from $(basename \"$0\"): $*\"\n")}), err
}

// dynamicFiles brings programs of this machine with their libraries. dash, the image's sh, is one of them.
func dynamicFiles(ctx context.Context, programs ...string) ([]entry, error) {
	entries := []entry{{path: "bin/sh", link: "dash"}}
	brought := map[string]bool{}
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		list, err := output(exec.CommandContext(ctx, "ldd", path))
		if err != nil {
			return nil, err
		}
		for to, from := range withLibraries("bin/"+name, path, string(list)) {
			if brought[to] {
				continue
			}
			brought[to] = true
			content, err := os.ReadFile(from)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{path: to, data: content, mode: 0o755})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return entries, nil
}

// withLibraries maps the paths in an image to those on this machine, for a program and its libraries.
func withLibraries(to, program, ldd string) map[string]string {
	files := map[string]string{to: program}
	for _, library := range libraries(ldd) {
		files[strings.TrimPrefix(library, "/")] = library
	}
	return files
}

// libraries picks the paths out of ldd's lines: "libc.so.6 => /lib/libc.so.6 (0x…)" and
// "/lib64/ld.so (0x…)".
func libraries(ldd string) []string {
	var paths []string
	for word := range strings.FieldsSeq(ldd) {
		if strings.HasPrefix(word, "/") {
			paths = append(paths, word)
		}
	}
	return paths
}

// compiled builds embedded programs and puts them into the image's root folder.
func (c *Cluster) compiled(names ...string) func(context.Context) ([]entry, error) {
	return func(ctx context.Context) ([]entry, error) {
		var entries []entry
		for _, name := range names {
			binary, err := c.compile(ctx, name)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{path: name, data: binary, mode: 0o755})
		}
		return entries, nil
	}
}

func (c *Cluster) compile(ctx context.Context, name string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "eshell-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	source, err := sources.ReadFile(path.Join("programs", name, "main.go"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "main.go"), source, 0o644); err != nil {
		return nil, err
	}
	binary := filepath.Join(folder, name)
	words := append([]string{"build", "-ldflags", "-s -w", "-o", binary}, buildFlags()...)
	if _, err := c.goRun(ctx, folder, append(words, "main.go")...); err != nil {
		return nil, err
	}
	return os.ReadFile(binary)
}

func readProgram(name string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
