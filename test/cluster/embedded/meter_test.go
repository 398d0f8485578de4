package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	folder := func(size int) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.go"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	small, large, newer, cached := folder(1000), folder(8000), folder(1000), folder(500)
	pkg := func(name, dir string, stale bool) sourcePackage {
		return sourcePackage{ImportPath: name, Dir: dir, GoFiles: []string{"a.go"}, Stale: stale}
	}
	m := newMeter(new(strings.Builder))
	m.add("containerd", []sourcePackage{pkg("fmt", small, true), pkg("cached", cached, false)})
	m.add("kubernetes", []sourcePackage{pkg("fmt", small, true), pkg("api", large, true), pkg("grpc", newer, true)})
	if got := m.progress(time.Hour); got != "" {
		t.Errorf("while it fetches: %q", got)
	}
	m.begin()
	for _, step := range []struct {
		tools, pkg string
		known      bool
		elapsed    time.Duration
		want       string
	}{
		{"containerd", "error: disk full", false, 0, ": 0 of 3 packages"},
		{"containerd", "cached", true, time.Hour, ": 0 of 3 packages"},
		{"containerd", "fmt", true, time.Second, ": 1 of 3 packages"},
		{"kubernetes", "fmt", true, time.Minute, ": 1 of 3 packages, about 9 min left"},
		{"kubernetes", "api", true, 9 * time.Minute, ": 2 of 3 packages, about 1 min left"},
		{"kubernetes", "api", true, 8 * time.Minute, ": 2 of 3 packages, less than a minute left"},
		{"kubernetes", "grpc", true, 10 * time.Minute, ": all packages are compiled, linking"},
	} {
		if known := m.built(step.tools, step.pkg); known != step.known {
			t.Errorf("%s: known = %v", step.pkg, known)
		}
		if got := m.progress(step.elapsed); got != step.want {
			t.Errorf("after %s: %q, want %q", step.pkg, got, step.want)
		}
	}
}

func TestParsePackages(t *testing.T) {
	got, err := parsePackages([]byte("{\"ImportPath\": \"fmt\", \"Stale\": true}\n{\"ImportPath\": \"os\"}\n"))
	if err != nil || len(got) != 2 || !got[0].Stale || got[1].ImportPath != "os" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parsePackages([]byte("go: no such thing")); err == nil {
		t.Error("no error for what is no JSON")
	}
}
