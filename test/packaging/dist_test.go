package packaging_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/test/packaging"
)

const host = runtime.GOOS + "_" + runtime.GOARCH

// all is whether every platform's archive is built, as in "make verify". Otherwise it is this machine's alone:
// without a build cache the others take a minute each.
func all() bool { return os.Getenv("ESHELL_DIST") == "all" }

// TestDist builds the release as "make dist" does, twice, and gives every archive to the real krew, under a
// manifest rendered from that very release.
func TestDist(t *testing.T) {
	const version = "v1.0.0"
	dist := makeDist(t, root, version, all())
	t.Run("reproducible", func(t *testing.T) {
		same(t, dist, makeDist(t, checkout(t), version, all()))
	})
	manifest := writeManifest(t, dist, version, all())
	for _, platform := range parse(t, read(t, manifest)).Spec.Platforms {
		t.Run(platform.name(), func(t *testing.T) {
			if !all() && platform.name() != host {
				t.Skip("left to make verify")
			}
			file := filepath.Join(dist, platform.archive())
			checkMembers(t, platform, unpack(t, read(t, file)))
			checkInstall(t, platform, version, manifest, file)
		})
	}
	checkListing(t, dist)
	checkSBOM(t, filepath.Join(dist, "kubectl-eshell.spdx.json"), version)
	t.Run("krew", func(t *testing.T) { checkKrew(t, version, dist) })
}

// checkout copies what git would commit to a folder of its own.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := run(t, root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for file := range strings.SplitSeq(strings.TrimRight(files, "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) { // deleted, and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, file), read(t, filepath.Join(root, file)), info.Mode().Perm())
	}
	return dir
}

func writeFile(t *testing.T, file, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// makeDist runs "make dist" in a checkout, into a folder of its own.
func makeDist(t *testing.T, checkout, version string, all bool) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	args := []string{"dist", "DIST=" + dist, "VERSION=" + version, "SOURCE_DATE_EPOCH=1700000000"}
	if !all {
		args = append(args, "PLATFORMS="+strings.ReplaceAll(host, "_", "/"))
	}
	run(t, checkout, nil, "make", args...)
	return dist
}

// same compares what two runs of "make dist" have built.
func same(t *testing.T, one, other string) {
	t.Helper()
	if a, b := read(t, one+"/checksums.txt"), read(t, other+"/checksums.txt"); a != b {
		t.Errorf("one folder's checksums are\n%sthe other's\n%s", a, b)
	}
	checkListing(t, other)
}

// writeManifest renders the manifest of dist. If not all archives were built, the others get a checksum
// that no file has.
func writeManifest(t *testing.T, dist, version string, all bool) string {
	t.Helper()
	rendered, err := packaging.Render(read(t, templateFile), version, func(uri string) (string, error) {
		sum, err := packaging.SHA256(filepath.Join(dist, path.Base(uri)))
		if errors.Is(err, fs.ErrNotExist) && !all {
			return packaging.NoChecksum, nil
		}
		return sum, err
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "eshell.yaml")
	if err := os.WriteFile(file, []byte(rendered), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type member struct {
	*tar.Header
	content []byte
}

func unpack(t *testing.T, archive string) []member {
	t.Helper()
	zr, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var members []member
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, member{header, content})
	}
}

func checkMembers(t *testing.T, p platform, members []member) {
	t.Helper()
	var got []string
	for _, m := range members {
		got = append(got, fmt.Sprintf("%o %s", m.Mode, m.Name))
	}
	want := []string{"644 LICENSE", "644 COMPLETION.md", "644 k9s/eshell.yaml", "755 " + p.executable()}
	if !slices.Equal(got, want) {
		t.Fatalf("members are %q, want %q", got, want)
	}
	for i, file := range []string{"LICENSE", "test/packaging/release/COMPLETION.md", k9sFile} {
		if string(members[i].content) != read(t, filepath.Join(root, file)) {
			t.Errorf("%s is not the repository's %s", members[i].Name, file)
		}
	}
	binary := members[3]
	info, err := buildinfo.Read(bytes.NewReader(binary.content))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if built := settings["GOOS"] + "_" + settings["GOARCH"]; built != p.name() {
		t.Errorf("binary is built for %s, want %s", built, p.name())
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("binary is built with %v, want it without cgo and with -trimpath", settings)
	}
}

func checkInstall(t *testing.T, p platform, version, manifest, file string) {
	t.Helper()
	krew := t.TempDir()
	goos, goarch, _ := strings.Cut(p.name(), "_")
	tool(t, []string{"KREW_ROOT=" + krew, "KREW_OS=" + goos, "KREW_ARCH=" + goarch,
		"KREW_NO_UPGRADE_CHECK=1"},
		"krew", "install", "--manifest="+manifest, "--archive="+file)
	for _, file := range []string{p.executable(), "LICENSE", "COMPLETION.md", "k9s/eshell.yaml"} {
		if _, err := os.Stat(filepath.Join(krew, "store", "eshell", version, file)); err != nil {
			t.Error(err)
		}
	}
	if p.name() == host {
		checkVersion(t, filepath.Join(krew, "bin", p.executable()), version)
	}
}

func checkVersion(t *testing.T, installed, version string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), installed, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --version: %v\n%s", installed, err, out)
	}
	if !strings.Contains(string(out), version) {
		t.Errorf("%s --version printed %q, want %s in it", installed, out, version)
	}
}

// checkListing holds checksums.txt against the archives, and sees that there
// is nothing else.
func checkListing(t *testing.T, dist string) {
	t.Helper()
	files, err := filepath.Glob(dist + "/*")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, file := range files {
		if filepath.Base(file) == "checksums.txt" {
			continue
		}
		sum, err := packaging.SHA256(file)
		if err != nil {
			t.Fatal(err)
		}
		want.WriteString(sum + "  " + filepath.Base(file) + "\n")
	}
	if got := read(t, dist+"/checksums.txt"); got != want.String() {
		t.Errorf("checksums.txt is\n%swant\n%s", got, want.String())
	}
}

func TestArchiveDependsOnContentAlone(t *testing.T) {
	release := time.Unix(1_700_000_000, 0)
	early := archive(t, release, 0o600, release.Add(-time.Hour))
	late := archive(t, release, 0o755, release.Add(time.Hour))
	if early != late {
		t.Error("archives of the same content differ by their file's mode or time")
	}
	if built := unpack(t, early)[0].ModTime; !built.Equal(release) {
		t.Errorf("member is of %s, want the release's %s", built, release)
	}
}

// archive packs a file of the given mode and time.
func archive(t *testing.T, release time.Time, mode os.FileMode, mtime time.Time) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubectl-eshell")
	if err := os.WriteFile(file, []byte("binary"), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, mtime, mtime); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := packaging.Archive(&out, release, packaging.Member{Name: "kubectl-eshell", File: file}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
