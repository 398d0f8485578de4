package packaging_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/test/packaging"
)

const (
	root         = "../.."
	templateFile = root + "/.krew.yaml"
	manifestFile = root + "/plugins/eshell.yaml"
	releases     = "https://github.com/kubectl-eshell/kubectl-eshell/releases/download/"
)

type plugin struct {
	APIVersion string
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Version          string
		Homepage         string
		ShortDescription string
		Description      string
		Caveats          string
		Platforms        []platform
	}
}

type platform struct {
	Selector map[string]map[string]string
	URI      string
	SHA256   string
	Bin      string
}

// name is the platform as the archives' names have it: linux_amd64.
func (p platform) name() string {
	labels := p.Selector["matchLabels"]
	return labels["os"] + "_" + labels["arch"]
}

// archive is the name of the platform's archive.
func (p platform) archive() string {
	return "kubectl-eshell_" + p.name() + ".tar.gz"
}

// executable is the plugin's file name on the platform.
func (p platform) executable() string {
	if strings.HasPrefix(p.name(), "windows") {
		return "kubectl-eshell.exe"
	}
	return "kubectl-eshell"
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func parse(t *testing.T, manifest string) plugin {
	t.Helper()
	var p plugin
	if err := yaml.Unmarshal([]byte(manifest), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// tool runs a tool of test/tools in the repository's root.
func tool(t *testing.T, env []string, args ...string) {
	t.Helper()
	run(t, root, env, "go", append([]string{"tool", "-modfile=test/tools/go.mod"}, args...)...)
}

// run runs a command that has to succeed, in dir, with env beside this process's own, and returns its output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func command(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	// Options of the make that runs these tests are not for those that they run.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "MAKE") || strings.HasPrefix(entry, "MFLAGS=")
	})
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestManifestIsTheOnlyPlugin(t *testing.T) {
	files, err := filepath.Glob(filepath.Dir(manifestFile) + "/*")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(files, []string{manifestFile}) {
		t.Errorf("plugins/ holds %q, want eshell.yaml alone", files)
	}
}

func TestManifestIsRenderedFromTemplate(t *testing.T) {
	committed := read(t, manifestFile)
	p := parse(t, committed)
	// The checksums are the release's, so those committed are taken as given.
	rendered, err := packaging.Render(read(t, templateFile), p.Spec.Version,
		func(uri string) (string, error) {
			for _, platform := range p.Spec.Platforms {
				if platform.URI == uri {
					return platform.SHA256, nil
				}
			}
			return "", fmt.Errorf("plugins/eshell.yaml lacks %s", uri)
		})
	if err != nil {
		t.Fatal(err)
	}
	if packaging.Notice+rendered != committed {
		t.Errorf("plugins/eshell.yaml is not what .krew.yaml renders to; run \"make dist manifest VERSION=%s\"\nrendered:\n%s",
			p.Spec.Version, rendered)
	}
}

func TestManifestFollowsKrewRules(t *testing.T) {
	p := parse(t, read(t, manifestFile))
	for _, rule := range []struct{ field, value, pattern string }{
		{"apiVersion", p.APIVersion, `krew\.googlecontainertools\.github\.com/v1alpha2`},
		{"kind", p.Kind, `Plugin`},
		{"metadata.name", p.Metadata.Name, `eshell`},
		{"version", p.Spec.Version, `v\d+\.\d+\.\d+|` + regexp.QuoteMeta(packaging.Unreleased)},
		{"homepage", p.Spec.Homepage, `https://github\.com/kubectl-eshell/kubectl-eshell`},
		{"shortDescription", p.Spec.ShortDescription, `[A-Z].{0,48}[^.\s]`},
		// Wrapped prose: no line is an indented example or a bullet.
		{"description", p.Spec.Description, `([A-Za-z].{0,79}\n|\n)+`},
		{"caveats", p.Spec.Caveats, `(.{0,80}\n)+`},
	} {
		if !regexp.MustCompile(`\A(?:` + rule.pattern + `)\z`).MatchString(rule.value) {
			t.Errorf("%s is %q, want it to match %s", rule.field, rule.value, rule.pattern)
		}
	}
	if strings.Contains(p.Spec.Description, "kubectl eshell") || strings.Contains(p.Spec.Description, " --") {
		t.Errorf("description has usage in it, which --help is for:\n%s", p.Spec.Description)
	}
}

func TestManifestPlatforms(t *testing.T) {
	p := parse(t, read(t, manifestFile))
	var names []string
	for _, platform := range p.Spec.Platforms {
		names = append(names, platform.name())
		t.Run(platform.name(), func(t *testing.T) {
			if len(platform.Selector) != 1 || len(platform.Selector["matchLabels"]) != 2 {
				t.Errorf("selector is %v, want matchLabels with os and arch alone", platform.Selector)
			}
			if want := releases + p.Spec.Version + "/" + platform.archive(); platform.URI != want {
				t.Errorf("uri is %s, want %s", platform.URI, want)
			}
			// What is not released has no checksum, and what has none is not released.
			none := platform.SHA256 == packaging.NoChecksum
			if unreleased := p.Spec.Version == packaging.Unreleased; none != unreleased {
				t.Errorf("version %s has the sha256 %s", p.Spec.Version, platform.SHA256)
			}
			if platform.Bin != platform.executable() {
				t.Errorf("bin is %s, want %s", platform.Bin, platform.executable())
			}
		})
	}
	want := []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64",
		"windows_arm64"}
	if !slices.Equal(names, want) {
		t.Errorf("platforms are %q, want each of %q once", names, want)
	}
}

func TestManifestIsValidToKrew(t *testing.T) {
	tool(t, nil, "validate-krew-manifest", "-manifest", "plugins/eshell.yaml", "-skip-install")
}
