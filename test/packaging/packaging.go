// Package packaging turns built binaries into release archives and the krew
// manifest that points at them.
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
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// Notice heads the committed manifest. It is not part of .krew.yaml because
// what is sent to krew's own index exists only once a release does.
const Notice = `# Rendered from .krew.yaml by "make manifest" at release time. Until the first
# release is published only the form holds: nothing is at these addresses yet.
`

// Archive writes files into a gzipped tar whose bytes depend on nothing but
// the files' names and contents, their execute bit and the given time.
func Archive(w io.Writer, mtime time.Time, files ...string) error {
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	for _, file := range files {
		if err := addFile(tw, mtime, file); err != nil {
			return fmt.Errorf("archive %s: %w", file, err)
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

func addFile(tw *tar.Writer, mtime time.Time, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	header := &tar.Header{
		Name:    filepath.Base(file),
		Mode:    0o644,
		Size:    int64(len(content)),
		ModTime: mtime,
		Format:  tar.FormatUSTAR,
	}
	// The name decides, not the file's mode: a Windows file system has none.
	if strings.HasPrefix(header.Name, "kubectl-") {
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

// Render fills in the krew-release-bot template as the bot does. The bot
// downloads each archive to learn its checksum; sum is asked instead, by the
// archive's address.
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
	functions := template.FuncMap{"addURIAndSha": addURIAndSha}
	return execute(template.New("manifest").Funcs(functions), text, tag)
}

func execute(t *template.Template, text, tag string) (string, error) {
	parsed, err := t.Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]string{"TagName": tag})
	return out.String(), err
}
