// Command release does what "make dist" and "make manifest" cannot ask of the
// tar and sha256sum of both Linux and macOS.
//
//	release archive DIST EPOCH   pack DIST/<os>_<arch>/ into DIST/*.tar.gz
//	release manifest DIST TAG    print the manifest of the archives in DIST
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
	if len(args) != 3 {
		return errors.New("usage: release archive DIST EPOCH | release manifest DIST TAG")
	}
	switch args[0] {
	case "archive":
		return archive(args[1], args[2])
	case "manifest":
		return manifest(out, args[1], args[2])
	}
	return fmt.Errorf("unknown verb %q", args[0])
}

// archive replaces each folder of a platform by its archive and lists the
// archives' checksums.
func archive(dist, epoch string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	binaries, err := filepath.Glob(filepath.Join(dist, "*_*", "kubectl-eshell*"))
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, binary := range binaries {
		file := filepath.Join(dist, "kubectl-eshell_"+filepath.Base(filepath.Dir(binary))+".tar.gz")
		sum, err := pack(file, time.Unix(seconds, 0), "LICENSE", binary)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, filepath.Base(file))
		if err := os.RemoveAll(filepath.Dir(binary)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dist, "checksums.txt"), sums.Bytes(), 0o644)
}

func pack(file string, mtime time.Time, members ...string) (string, error) {
	var content bytes.Buffer
	if err := packaging.Archive(&content, mtime, members...); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, content.Bytes(), 0o644); err != nil {
		return "", err
	}
	return packaging.SHA256(file)
}

func manifest(out io.Writer, dist, tag string) error {
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(tag) {
		return fmt.Errorf("tag %q is not of the form vX.Y.Z", tag)
	}
	text, err := os.ReadFile(".krew.yaml")
	if err != nil {
		return err
	}
	rendered, err := packaging.Render(string(text), tag, func(uri string) (string, error) {
		return packaging.SHA256(filepath.Join(dist, path.Base(uri)))
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, packaging.Notice+rendered)
	return err
}
