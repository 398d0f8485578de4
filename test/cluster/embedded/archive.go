package embedded

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"runtime"
	"strings"
)

// entry is one file of a layer: a folder if the path ends in "/", a link if link is set.
type entry struct {
	path  string
	data  []byte
	link  string
	mode  int64
	owner int
}

// layer packs entries into a tar. Times are left at zero, so equal content is an equal layer.
func layer(entries []entry) ([]byte, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, e := range entries {
		if err := archive.WriteHeader(e.header()); err != nil {
			return nil, err
		}
		if _, err := archive.Write(e.data); err != nil {
			return nil, err
		}
	}
	return packed.Bytes(), archive.Close()
}

func (e entry) header() *tar.Header {
	header := &tar.Header{Name: e.path, Mode: e.mode, Size: int64(len(e.data)), Uid: e.owner, Gid: e.owner,
		Typeflag: tar.TypeReg}
	switch {
	case e.link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
	case strings.HasSuffix(e.path, "/"):
		header.Typeflag = tar.TypeDir
	}
	return header
}

// The types below are the JSON of an image's configuration and of a docker archive's manifest.
type imageConfig struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       runConfig `json:"config"`
	RootFS       rootFS    `json:"rootfs"`
}

type runConfig struct {
	Env        []string
	Entrypoint []string `json:",omitempty"`
	Cmd        []string `json:",omitempty"`
	User       string   `json:",omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeArchive writes all images as one docker archive, with shared layers only once.
func writeArchive(w io.Writer, images []image) error {
	out := &archiveWriter{tar: tar.NewWriter(w), seen: map[string]bool{}}
	var manifests []manifest
	for _, i := range images {
		m, err := out.add(i)
		if err != nil {
			return err
		}
		manifests = append(manifests, m)
	}
	index, err := json.Marshal(manifests)
	if err != nil {
		return err
	}
	if err := out.file("manifest.json", index); err != nil {
		return err
	}
	return out.tar.Close()
}

type archiveWriter struct {
	tar  *tar.Writer
	seen map[string]bool
}

func (a *archiveWriter) add(i image) (manifest, error) {
	m := manifest{RepoTags: []string{imageRef(i.name)}}
	config := imageConfig{Architecture: runtime.GOARCH, OS: "linux", Config: i.config(),
		RootFS: rootFS{Type: "layers"}}
	for _, content := range i.layers {
		sum := digest(content)
		if err := a.file(sum+".tar", content); err != nil {
			return m, err
		}
		m.Layers = append(m.Layers, sum+".tar")
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:"+sum)
	}
	text, err := json.Marshal(config)
	if err != nil {
		return m, err
	}
	m.Config = digest(text) + ".json"
	return m, a.file(m.Config, text)
}

func (a *archiveWriter) file(name string, content []byte) error {
	if a.seen[name] {
		return nil
	}
	a.seen[name] = true
	if err := a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)),
		Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := a.tar.Write(content)
	return err
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
