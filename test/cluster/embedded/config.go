package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// host is what the configuration has to know about the machine.
type host struct {
	runc   string // path of the program
	cniDir string // folder of the CNI plugins
}

// configFiles are the configuration files by path below the state folder.
func (c *Cluster) configFiles(h host) map[string]string {
	return map[string]string{
		"etc/containerd.toml": fmt.Sprintf(containerdFormat, c.Dir, h.runc, h.cniDir,
			imageRef("pause")),
		"etc/cni/10-eshell.conflist": fmt.Sprintf(cniFormat, bridge, c.data("ipam"), podCIDR,
			nodeIP),
		"etc/certs.d/_default/hosts.toml":         hostsTOML("http://127.0.0.1:9"),
		"etc/certs.d/" + NotFound + "/hosts.toml": hostsTOML("http://" + loopback(registryPort)),
		"etc/kubelet.yaml": fmt.Sprintf(kubeletFormat, c.Dir, nodeIP, kubeletPort,
			kubeletHealth, dnsIP, cgroupRoot),
		"etc/audit.yaml": auditPolicy,
	}
}

// NotFound is a registry that has no image: pulling any name below it fails with "not
// found". Names of every other registry fail with "connection refused".
const NotFound = "notfound.test"

// hostsTOML sends every request for a registry to one address, so that its name is never looked up.
func hostsTOML(server string) string {
	return fmt.Sprintf("server = %q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n", server)
}

// containerdFormat: restrict_oom_score_adj is for machines that withhold CAP_SYS_RESOURCE
// even from root; NRI is off because its socket is one for the whole machine.
const containerdFormat = `version = 3
root = "%[1]s/data/containerd"
state = "%[1]s/run/containerd"
[grpc]
  address = "%[1]s/run/containerd.sock"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.internal.v1.opt']
  path = "%[1]s/data/containerd-opt"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %[4]q
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "%[1]s/etc/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%[3]q]
  conf_dir = "%[1]s/etc/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = %[2]q
    SystemdCgroup = false
`

// cniFormat gives pods no default route: they reach each other and the node, and
// everything else is "network unreachable" at once.
const cniFormat = `{
  "cniVersion": "1.0.0",
  "name": "eshell",
  "plugins": [{
    "type": "bridge",
    "bridge": %q,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "dataDir": %q,
      "ranges": [[{"subnet": %q, "gateway": %q}]]
    }
  }]
}
`

// kubeletFormat: no iptables chains, because the machine's are not ours; no eviction
// and no image collection, because a full disk elsewhere must not remove test images.
const kubeletFormat = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[1]s/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: %[1]s/pki/kubelet.crt
tlsPrivateKeyFile: %[1]s/pki/kubelet.key
containerRuntimeEndpoint: unix://%[1]s/run/containerd.sock
address: %[2]s
port: %[3]d
healthzBindAddress: 127.0.0.1
healthzPort: %[4]d
clusterDNS: [%[5]s]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
cgroupRoot: %[6]s
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
volumePluginDir: %[1]s/data/flexvolume
staticPodPath: %[1]s/static
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
imageGCHighThresholdPercent: 100
maxPods: 250
eventRecordQPS: 1000
eventBurst: 1000
kubeAPIQPS: 100
kubeAPIBurst: 200
`

// auditPolicy keeps the stages that follow the decision: a request counts once it was answered or began to
// stream.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// folders are those that the components expect to exist.
func (c *Cluster) folders() []string {
	return []string{
		c.BinDir(), c.run(""), c.pki(""), c.etc(""), filepath.Join(c.Dir, "log"),
		c.data("etcd"), c.data("containerd"), c.data("kubelet"), c.data("ipam"), c.data("flexvolume"),
		c.StaticPods(),
	}
}

// configure writes the keys, kubeconfigs and configuration files of a new cluster.
func (c *Cluster) configure(h host) error {
	for _, folder := range c.folders() {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	// etcd insists on a folder of its own.
	if err := os.Chmod(c.data("etcd"), 0o700); err != nil {
		return err
	}
	for path, content := range c.configFiles(h) {
		path = filepath.Join(c.Dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return c.writeKeys()
}

// writeKeys makes every certificate anew; a cluster's keys die with it.
func (c *Cluster) writeKeys() error {
	ca, err := newAuthority()
	if err != nil {
		return fmt.Errorf("make the cluster's certificate authority: %w", err)
	}
	if err := c.writePair("ca", ca.pair); err != nil {
		return err
	}
	for name, who := range map[string]identity{
		"apiserver": {user: "kube-apiserver",
			hosts: []string{"127.0.0.1", "localhost", serviceIP, nodeIP, "kubernetes", "kubernetes.default",
				"kubernetes.default.svc"}},
		"kubelet": {user: "system:node:" + nodeName, groups: []string{"system:nodes"},
			hosts: []string{nodeIP, nodeName, "127.0.0.1"}},
		"kubelet-client": {user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		"admin":          admin(),
		"sa":             {user: "service-accounts"},
	} {
		issued, err := ca.issue(who)
		if err != nil {
			return err
		}
		if err := c.writePair(name, issued); err != nil {
			return err
		}
	}
	for path, who := range map[string]identity{
		c.Kubeconfig(): admin(),
		c.etc("kubelet.kubeconfig"): {user: "system:node:" + nodeName,
			groups: []string{"system:nodes"}},
		c.etc("controller-manager.kubeconfig"): {user: "system:kube-controller-manager"},
		c.etc("scheduler.kubeconfig"):          {user: "system:kube-scheduler"},
	} {
		if err := ca.kubeconfig(path, who, c.APIServerAddr()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) writePair(name string, p pair) error {
	if err := os.WriteFile(c.pki(name+".crt"), p.cert, 0o644); err != nil {
		return err
	}
	return os.WriteFile(c.pki(name+".key"), p.key, 0o600)
}
