package embedded

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// toolset is a group of programs that come from one Go module at one version.
type toolset struct {
	name     string // of its folder in the cache, with the version
	module   string
	version  string
	programs []program
	ldflags  string
}

// program is one command: the name of its binary and its package.
type program struct{ name, pkg string }

// toolsets lists everything that is built, the slowest last.
func toolsets(kubernetes string) []toolset {
	const containerd = "github.com/containerd/containerd/v2"
	return []toolset{
		{
			name: "etcd-" + etcdVersion, module: "go.etcd.io/etcd/server/v3", version: etcdVersion,
			programs: []program{{"etcd", "go.etcd.io/etcd/server/v3"}},
		},
		{
			name: "containerd-" + containerdVersion, module: containerd, version: containerdVersion,
			programs: []program{
				{"containerd", containerd + "/cmd/containerd"},
				{"containerd-shim-runc-v2", containerd + "/cmd/containerd-shim-runc-v2"},
				{"ctr", containerd + "/cmd/ctr"},
			},
		},
		{
			name: "kubernetes-" + kubernetes, module: "k8s.io/kubernetes", version: kubernetes,
			programs: []program{
				{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
				{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
				{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
				{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
				{"kubelet", "k8s.io/kubernetes/cmd/kubelet"},
			},
			ldflags: versionFlags(kubernetes),
		},
	}
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
	text := fmt.Sprintf("module embedded.invalid/%s\n\ngo 1.26.0\n\nrequire %s v%s\n", t.name, t.module,
		t.version)
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
