// Command release does what "make dist", "make manifest" and "make formula" cannot ask of the tar and
// sha256sum of both Linux and macOS.
//
//	release archive DIST TAG EPOCH   pack DIST/<os>_<arch>/ into DIST/*.tar.gz; add their SBOM and checksums
//	release manifest DIST TAG        print the krew manifest of the archives in DIST
//	release formula DIST TAG         print the Homebrew formula of the archives in DIST
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/test/packaging"
)

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal("release: ", err)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 4 && args[0] == "archive":
		return archive(args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "manifest":
		fmt.Fprint(out, packaging.Notice)
		return render(out, ".krew.yaml", args[1], args[2])
	case len(args) == 3 && args[0] == "formula":
		return render(out, "test/packaging/release/kubectl-eshell.rb.tmpl", args[1], args[2])
	}
	return errors.New("usage: release archive DIST TAG EPOCH | release manifest|formula DIST TAG")
}

// archive replaces each folder of a platform by its archive, and lists the checksums of what a release
// consists of.
func archive(dist, tag, epoch string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	binaries, err := filepath.Glob(filepath.Join(dist, "*_*", "kubectl-eshell*"))
	if err != nil {
		return err
	}
	release := time.Unix(seconds, 0)
	if err := write(filepath.Join(dist, "kubectl-eshell.spdx.json"), func(w io.Writer) error {
		return packaging.SBOM(w, tag, release, binaries...)
	}); err != nil {
		return err
	}
	for _, binary := range binaries {
		platform := filepath.Dir(binary)
		file := filepath.Join(dist, "kubectl-eshell_"+filepath.Base(platform)+".tar.gz")
		if err := write(file, func(w io.Writer) error {
			return packaging.Archive(w, release, members(binary)...)
		}); err != nil {
			return err
		}
		if err := os.RemoveAll(platform); err != nil {
			return err
		}
	}
	return writeChecksums(dist)
}

// members are the files of an archive. krew's own index wants the licence among them.
func members(binary string) []packaging.Member {
	return []packaging.Member{
		{Name: "LICENSE", File: "LICENSE"},
		{Name: "COMPLETION.md", File: "test/packaging/release/COMPLETION.md"},
		{Name: "k9s/eshell.yaml", File: "docs/k9s/eshell.yaml"},
		{Name: filepath.Base(binary), File: binary},
	}
}

func write(file string, content func(io.Writer) error) error {
	var out bytes.Buffer
	if err := content(&out); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// writeChecksums lists all of dist in checksums.txt, as sha256sum does.
func writeChecksums(dist string) error {
	files, err := filepath.Glob(filepath.Join(dist, "kubectl-eshell*"))
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, file := range files {
		sum, err := packaging.SHA256(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, filepath.Base(file))
	}
	return os.WriteFile(filepath.Join(dist, "checksums.txt"), sums.Bytes(), 0o644)
}

func render(out io.Writer, file, dist, tag string) error {
	if tag != packaging.Unreleased && !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(tag) {
		return fmt.Errorf("tag %q is not of the form vX.Y.Z", tag)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rendered, err := packaging.Render(string(text), tag, func(uri string) (string, error) {
		if tag == packaging.Unreleased {
			return packaging.NoChecksum, nil
		}
		return packaging.SHA256(filepath.Join(dist, path.Base(uri)))
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, rendered)
	return err
}
