package cli

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestShells: an image is remembered for a while, for its own server, and under a name that does not tell
// which it is.
func TestShells(t *testing.T) {
	folder := t.TempDir()
	s, other := shells{folder, "https://one"}, shells{folder, "https://two"}
	if s.Lacks(t.Context(), "api:1") {
		t.Error("it is known before it was tried")
	}
	s.Remember(t.Context(), "api:1")
	if !s.Lacks(t.Context(), "api:1") || s.Lacks(t.Context(), "api:2") || other.Lacks(t.Context(), "api:1") {
		t.Error("remembered are others than api:1 of one server")
	}
	old := time.Now().Add(-knownTime - time.Minute)
	if err := os.Chtimes(s.path("api:1"), old, old); err != nil {
		t.Fatal(err)
	}
	if s.Lacks(t.Context(), "api:1") {
		t.Errorf("it is still known after %s", knownTime)
	}
	s.Remember(t.Context(), "api:1")
	if !s.Lacks(t.Context(), "api:1") {
		t.Error("it is not known anew")
	}
	if content, err := os.ReadFile(s.path("api:1")); err != nil || len(content) > 0 {
		t.Errorf("the file has %q, %v; want nothing", content, err)
	}
}

// TestShellsWithoutCache: nothing is written where the cache folder is not known or is not one.
func TestShellsWithoutCache(t *testing.T) {
	t.Chdir(t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", ".kube/cache", file} {
		s := shells{folder, "https://one"}
		s.Remember(t.Context(), "api:1")
		if s.Lacks(t.Context(), "api:1") {
			t.Errorf("folder %q: it is remembered", folder)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("written: %v, %v", left, err)
	}
}
