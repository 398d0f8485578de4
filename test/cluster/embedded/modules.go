package embedded

import (
	"fmt"
	"sort"
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
	return fmt.Sprintf(" -X %[1]sgitVersion=v%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", pkg, version, major, minor)
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

// goMod is a module in which the toolset's programs can be built. Kubernetes' own go.mod
// replaces its siblings by folders of its repository; staging lists them.
func goMod(t toolset, staging []string) (string, error) {
	text := fmt.Sprintf("module embedded.invalid/%s\n\ngo 1.26.0\n\nrequire %s v%s\n", t.name, t.module, t.version)
	if len(staging) == 0 {
		return text, nil
	}
	version, err := stagingVersion(t.version)
	if err != nil {
		return "", err
	}
	sort.Strings(staging)
	text += "\nreplace (\n"
	for _, module := range staging {
		text += fmt.Sprintf("\t%s => %[1]s %s\n", module, version)
	}
	return text + ")\n", nil
}
