// Package packaging turns built binaries into release archives, and renders the krew manifest and the
// Homebrew formula that point at them.
package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"
)

// Unreleased is the version of the committed manifest before the first release. To krew it is older than any
// release, and the addresses under it say why nothing is there.
const Unreleased = "v0.0.0-unreleased"

// NoChecksum stands for the SHA-256 of an archive that does not exist. No file has it. (64 zeros would be a
// number to YAML.)
const NoChecksum = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

// Notice heads the committed manifest. It is not part of .krew.yaml because what is sent to krew's own index
// exists only once a release does.
const Notice = `# Rendered from .krew.yaml by "make manifest". Version ` + Unreleased + ` means that nothing
# is released yet: there is nothing at these addresses. docs/install.md says how to install from a checkout.
`

// Member is a file of an archive, by the name that it has there.
type Member struct{ Name, File string }

// Archive writes members into a gzipped tar whose bytes depend on nothing but their names and contents and
// the given time.
func Archive(w io.Writer, mtime time.Time, members ...Member) error {
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	for _, m := range members {
		if err := m.add(tw, mtime); err != nil {
			return fmt.Errorf("archive %s: %w", m.File, err)
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

func (m Member) add(tw *tar.Writer, mtime time.Time) error {
	content, err := os.ReadFile(m.File)
	if err != nil {
		return err
	}
	header := &tar.Header{
		Name:    m.Name,
		Mode:    0o644,
		Size:    int64(len(content)),
		ModTime: mtime,
		Format:  tar.FormatUSTAR,
	}
	// The name decides, not the file's mode: a Windows file system has none.
	if strings.HasPrefix(m.Name, "kubectl-") {
		header.Mode = 0o755
	}
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	_, err = tw.Write(content)
	return err
}

// SHA256 is the lower-case hexadecimal checksum of a file.
func SHA256(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Render fills in a template as krew-release-bot does. The bot downloads each archive to learn its checksum;
// sum is asked instead, by the archive's address. Beyond what the bot knows, a template has .Version, which
// is the tag without its "v", and sha256, which gives the checksum alone.
func Render(text, tag string, sum func(uri string) (string, error)) (string, error) {
	addURIAndSha := func(address, tag string) (string, error) {
		uri, err := execute(template.New("uri"), address, tag)
		if err != nil {
			return "", err
		}
		digest, err := sum(uri)
		if err != nil {
			return "", err
		}
		// The bot indents the second line by four spaces wherever it is.
		return fmt.Sprintf("uri: %s\n    sha256: %s", uri, digest), nil
	}
	functions := template.FuncMap{"addURIAndSha": addURIAndSha, "sha256": sum}
	return execute(template.New("release").Funcs(functions), text, tag)
}

func execute(t *template.Template, text, tag string) (string, error) {
	parsed, err := t.Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]string{"TagName": tag, "Version": strings.TrimPrefix(tag, "v")})
	return out.String(), err
}
