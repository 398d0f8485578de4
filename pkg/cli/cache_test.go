package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestShells: an image is remembered for a while, for its own server, and under a name that does not tell
// which it is.
func TestShells(t *testing.T) {
	folder := t.TempDir()
	s, other := shells{cache{folder, "https://one"}}, shells{cache{folder, "https://two"}}
	if s.Lacks(t.Context(), "api:1") {
		t.Error("it is known before it was tried")
	}
	s.Remember(t.Context(), "api:1")
	if !s.Lacks(t.Context(), "api:1") || s.Lacks(t.Context(), "api:2") || other.Lacks(t.Context(), "api:1") {
		t.Error("remembered are others than api:1 of one server")
	}
	old := time.Now().Add(-knownTime - time.Minute)
	if err := os.Chtimes(s.path("without-shell", "api:1"), old, old); err != nil {
		t.Fatal(err)
	}
	if s.Lacks(t.Context(), "api:1") {
		t.Errorf("it is still known after %s", knownTime)
	}
	s.Remember(t.Context(), "api:1")
	if !s.Lacks(t.Context(), "api:1") {
		t.Error("it is not known anew")
	}
	if content, err := os.ReadFile(s.path("without-shell", "api:1")); err != nil || len(content) > 0 {
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
		s := shells{cache{folder, "https://one"}}
		s.Remember(t.Context(), "api:1")
		u := users{s.cache, "ada", ""}
		u.Remember(t.Context(), "ada@example.com")
		if s.Lacks(t.Context(), "api:1") || u.Known(t.Context()) != "" {
			t.Errorf("folder %q: something is remembered", folder)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("written: %v, %v", left, err)
	}
}

// TestUsers: a name is remembered for a server and a user of the kubeconfig; that of --as needs no memory.
func TestUsers(t *testing.T) {
	folder := t.TempDir()
	of := func(server, kubeUser, as string) users { return users{cache{folder, server}, kubeUser, as} }
	ada := of("https://one", "ada", "")
	ada.Remember(t.Context(), "ada@example.com")
	ada.Remember(t.Context(), "") // the server has not said
	of("https://one", "ada", "bob").Remember(t.Context(), "bob")
	for _, tt := range []struct {
		users
		want string
	}{
		{ada, "ada@example.com"},
		{of("https://one", "eve", ""), ""},
		{of("https://two", "ada", ""), ""},
		{of("https://two", "ada", "bob"), "bob"},
	} {
		if got := tt.Known(t.Context()); got != tt.want {
			t.Errorf("%+v is known as %q, want %q", tt.users, got, tt.want)
		}
	}
	file := ada.path("user", "ada")
	for _, planted := range []func() error{
		func() error { return os.Symlink(filepath.Join(folder, "secret"), file) },
		func() error { return os.WriteFile(file, make([]byte, mostRemembered+1), 0o600) },
	} {
		if err := errors.Join(os.WriteFile(filepath.Join(folder, "secret"), []byte("s3cret"), 0o600),
			os.Remove(file), planted()); err != nil {
			t.Fatal(err)
		}
		if got := ada.Known(t.Context()); got != "" {
			t.Errorf("what somebody has planted is taken for a name: %.20q", got)
		}
	}
	ada.Remember(t.Context(), "ada@example.org")
	if got := ada.Known(t.Context()); got != "ada@example.org" {
		t.Errorf("after another name: %q", got)
	}
}
