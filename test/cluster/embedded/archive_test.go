package embedded

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestArchive(t *testing.T) {
	lower, upper := testLayer(t, base()),
		testLayer(t, []entry{{path: "app", data: []byte("program"), mode: 0o755}})
	var written bytes.Buffer
	err := writeArchive(&written, []image{
		{name: "one", layers: [][]byte{lower}, command: []string{"sh"}},
		{name: "two", layers: [][]byte{lower, upper}, entrypoint: []string{"/app"}, user: "1000:1000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	names, files := unpack(t, &written)
	if len(names) != 5 { // two layers, of which one is shared, two configurations, one manifest
		t.Errorf("files = %v", names)
	}
	var manifests []manifest
	if err := json.Unmarshal(files["manifest.json"], &manifests); err != nil {
		t.Fatal(err)
	}
	two := manifests[1]
	if !slices.Equal(two.RepoTags, []string{"localhost/eshell/two:1"}) || !slices.Equal(two.Layers,
		[]string{digest(lower) + ".tar", digest(upper) + ".tar"}) {
		t.Errorf("manifest = %+v", two)
	}
	var config imageConfig
	if err := json.Unmarshal(files[two.Config], &config); err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "1000:1000" || !slices.Equal(config.RootFS.DiffIDs,
		[]string{"sha256:" + digest(lower), "sha256:" + digest(upper)}) {
		t.Errorf("config = %+v", config)
	}
}

func TestLayerIsReproducible(t *testing.T) {
	if !bytes.Equal(testLayer(t, base()), testLayer(t, base())) {
		t.Error("the same files make another layer")
	}
}

func TestLayerEntries(t *testing.T) {
	archive := tar.NewReader(bytes.NewReader(testLayer(t, []entry{
		{path: "tmp/", mode: 0o1777},
		{path: "bin/sh", link: "dash"},
		{path: "home/app/", mode: 0o755, owner: 1000},
	})))
	for _, want := range []tar.Header{
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "bin/sh", Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: "dash"},
		{Name: "home/app/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 1000, Gid: 1000},
	} {
		got, err := archive.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != want.Name || got.Typeflag != want.Typeflag || got.Mode != want.Mode ||
			got.Linkname != want.Linkname || got.Uid != want.Uid || got.Gid != want.Gid {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func testLayer(t *testing.T, entries []entry) []byte {
	t.Helper()
	packed, err := layer(entries)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func unpack(t *testing.T, r io.Reader) ([]string, map[string][]byte) {
	t.Helper()
	var names []string
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, files
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}
