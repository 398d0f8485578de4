package embedded

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// toolset is a group of binaries that are built together, in one module.
type toolset struct {
	name     string // of its folder in the cache, with the version
	title    string // for people
	module   string
	version  string
	binaries []binary
	ldflags  string
}

// binary is one file. With several programs it is whichever it is called by: what they have in common is
// linked once, and most of what Kubernetes' components consist of is in each of them.
type binary struct {
	name     string
	programs []program
}

// program is one command: its name and its package.
type program struct{ name, pkg string }

const kubernetesModule = "k8s.io/kubernetes"

// buildFlags are those of the Makefile too: a package that both need is compiled once. Nothing here is
// debugged, so the compiler need not describe it to a debugger.
func buildFlags() []string { return []string{"-trimpath", "-gcflags=all=-dwarf=false"} }

// buildTags leave out what a node of ours never uses: three kinds of snapshots, traces of containerd, Intel's
// resource director and the pages that show gRPC's requests.
const buildTags = "no_btrfs,no_devmapper,no_zfs,no_tracing,no_rdt,grpcnotrace"

// toolsets lists everything that is built: also kubectl, unless there is one.
func (c *Cluster) toolsets() []toolset {
	tools := []toolset{containerdTools(), componentTools(c.Version)}
	if c.Client == "" {
		tools = append(tools, kubectlTools(c.Version))
	}
	return tools
}

// componentTools has the etcd that this Kubernetes is tested with.
func componentTools(version string) toolset {
	return toolset{
		title: "Kubernetes " + version, module: kubernetesModule, version: version,
		binaries: []binary{{"kubernetes", []program{
			{"etcd", "go.etcd.io/etcd/server/v3"},
			{"kube-scheduler", kubernetesModule + "/cmd/kube-scheduler"},
			{"kube-controller-manager", kubernetesModule + "/cmd/kube-controller-manager"},
			{"kube-apiserver", kubernetesModule + "/cmd/kube-apiserver"},
			{"kubelet", kubernetesModule + "/cmd/kubelet"},
		}}},
		ldflags: versionFlags(version),
	}.named("kubernetes")
}

// kubectlTools is apart: a command that people wait for starts faster without the components.
func kubectlTools(version string) toolset {
	return toolset{
		title: "kubectl " + version, module: kubernetesModule, version: version,
		binaries: []binary{{"kubectl", []program{{"kubectl", kubernetesModule + "/cmd/kubectl"}}}},
		ldflags:  versionFlags(version),
	}.named("kubectl")
}

// containerdTools is the same for each Kubernetes, and has the versions of all modules that containerd was
// released with: it does not compile with those of Kubernetes. The shim is apart, because one runs beside
// each pod.
func containerdTools() toolset {
	const containerd = "github.com/containerd/containerd/v2"
	return toolset{
		title: "containerd " + containerdVersion, module: containerd, version: containerdVersion,
		binaries: []binary{
			{"containerd", []program{
				{"containerd", containerd + "/cmd/containerd"},
				{"ctr", containerd + "/cmd/ctr"},
			}},
			{"containerd-shim-runc-v2", []program{
				{"containerd-shim-runc-v2", containerd + "/cmd/containerd-shim-runc-v2"},
			}},
		},
	}.named("containerd")
}

// named gives t a name that changes with what is built, and how.
func (t toolset) named(name string) toolset {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v %s %v", buildFlags(), buildTags, t))
	t.name = fmt.Sprintf("%s-%s-%x", name, t.version, sum[:4])
	return t
}

func (t toolset) root() string { return "embedded.invalid/" + t.name }

// target is the package to build b from.
func (t toolset) target(b binary) string {
	if len(b.programs) == 1 {
		return b.programs[0].pkg
	}
	return path.Join(t.root(), b.name)
}

func (t toolset) targets() []string {
	var targets []string
	for _, b := range t.binaries {
		targets = append(targets, t.target(b))
	}
	return targets
}

// dispatcher is the main function of a binary with several programs. Each of them has a package of its own
// below the binary's, with a function Main.
func (t toolset) dispatcher(b binary) string {
	var imports, cases strings.Builder
	for i, p := range b.programs {
		fmt.Fprintf(&imports, "\tp%d %q\n", i, path.Join(t.target(b), p.name))
		fmt.Fprintf(&cases, "\tcase %q:\n\t\tp%d.Main()\n", p.name, i)
	}
	return "package main\n\nimport (\n\t\"os\"\n\t\"path/filepath\"\n\n" + imports.String() +
		")\n\nfunc main() {\n\tswitch name := filepath.Base(os.Args[0]); name {\n" + cases.String() +
		"\tdefault:\n\t\tprintln(\"no program is named\", name)\n\t\tos.Exit(2)\n\t}\n}\n"
}

// asLibrary turns a file of a program into one of a package with a function Main.
func asLibrary(source string) string {
	source = strings.Replace(source, "\npackage main\n", "\npackage program\n", 1)
	return strings.Replace(source, "\nfunc main() {", "\nfunc Main() {", 1)
}

// versionFlags stamp the version in: Kubernetes refuses to work with a component that says v0.0.0.
func versionFlags(version string) string {
	const pkg = "k8s.io/component-base/version."
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return fmt.Sprintf(" -X %[1]sgitVersion=v%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", pkg,
		version, major, minor)
}

// stagingVersion is the version under which a Kubernetes release publishes k8s.io/api and
// its siblings: v0.36.3 for 1.36.3.
func stagingVersion(kubernetes string) (string, error) {
	rest, found := strings.CutPrefix(kubernetes, "1.")
	if !found || strings.Count(rest, ".") != 1 {
		return "", fmt.Errorf("kubernetes version %q is not like %s", kubernetes, DefaultVersion)
	}
	return "v0." + rest, nil
}

// staging are the modules that live in Kubernetes' repository and are published beside
// it. Its go.mod replaces them all by folders and requires most of them.
type staging struct{ replaced, required []string }

// goMod is a module in which the toolset's programs can be built. What is replaced is
// required too, where Kubernetes does: the build cache and every stack trace know a
// package by the version that is required. (The others need not even be published.)
func goMod(t toolset, s staging) (string, error) {
	text := fmt.Sprintf("module %s\n\ngo 1.26.0\n\nrequire %s v%s\n", t.root(), t.module, t.version)
	if len(s.replaced) == 0 {
		return text, nil
	}
	version, err := stagingVersion(t.version)
	if err != nil {
		return "", err
	}
	text += "\nrequire (\n"
	for _, module := range slices.Sorted(slices.Values(s.required)) {
		text += fmt.Sprintf("\t%s %s\n", module, version)
	}
	text += ")\n\nreplace (\n"
	for _, module := range slices.Sorted(slices.Values(s.replaced)) {
		text += fmt.Sprintf("\t%s => %[1]s %s\n", module, version)
	}
	return text + ")\n", nil
}

// parseStaging picks the staging modules out of what "go mod edit -json" says.
func parseStaging(text []byte) (staging, error) {
	var found staging
	var mod struct {
		Require []struct{ Path string }
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := json.Unmarshal(text, &mod); err != nil {
		return found, err
	}
	for _, replace := range mod.Replace {
		if strings.HasPrefix(replace.New.Path, "./staging/") {
			found.replaced = append(found.replaced, replace.Old.Path)
		}
	}
	for _, require := range mod.Require {
		if slices.Contains(found.replaced, require.Path) {
			found.required = append(found.required, require.Path)
		}
	}
	return found, nil
}
