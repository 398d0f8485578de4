package packaging_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestInstall runs the command by which docs/install.md installs from a checkout, for a user with an empty
// home folder, and then the plugin through the real kubectl.
func TestInstall(t *testing.T) {
	page := read(t, root+"/docs/install.md")
	if commands := regexp.MustCompile(`(?m)^make .*$`).FindAllString(page, -1); !slices.Equal(commands,
		[]string{"make install"}) {
		t.Fatalf("docs/install.md says %q, want make install alone", commands)
	}
	home := t.TempDir()
	bin := home + "/.local/bin"
	env := []string{"VERSION=v1.2.3", "HOME=" + home,
		"GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE")}
	out := run(t, checkout(t), env, "make", "install")
	if want := `  export PATH="$PATH:` + bin + `"`; !strings.Contains(out, want) {
		t.Errorf("make install printed\n%s\nwithout a hint at PATH:\n%s", out, want)
	}
	if target, err := os.Readlink(bin + "/kubectl_complete-eshell"); err != nil || target != "kubectl-eshell" {
		t.Errorf("kubectl_complete-eshell leads to %q, %v, want kubectl-eshell", target, err)
	}
	link(t, kubectl(t), home+"/bin/kubectl")
	path := "PATH=" + home + "/bin" + string(os.PathListSeparator) + bin
	if out := run(t, home, []string{"HOME=" + home, path}, home+"/bin/kubectl", "eshell",
		"--version"); !strings.Contains(out, "v1.2.3") {
		t.Errorf("kubectl eshell --version printed %q", out)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, root, nil, "go", "env", name))
}
