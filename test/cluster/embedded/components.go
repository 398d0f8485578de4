package embedded

import (
	"fmt"
	"strings"
)

const supervisorName = "supervisor"

// spec is one component: its command line and how to see that it is ready.
type spec struct {
	name  string
	argv  []string
	ready probe
}

// specs lists the components in the order of their start.
func (c *Cluster) specs() []spec {
	return []spec{
		{"etcd", c.etcdCommand(), webProbe("http://" + loopback(etcdPort) + "/health")},
		{"apiserver", c.apiserverCommand(), c.apiProbe("/readyz")},
		{"containerd", []string{c.bin("containerd"), "--config", c.etc("containerd.toml")},
			socketProbe(c.run("containerd.sock"))},
		{"controller-manager", c.controllerCommand(),
			webProbe("https://" + loopback(controllerPort) + "/healthz")},
		{"scheduler", c.schedulerCommand(), webProbe("https://" + loopback(schedulerPort) + "/healthz")},
		{"kubelet", c.kubeletCommand(), c.kubeletProbe},
	}
}

func (c *Cluster) spec(name string) (spec, bool) {
	for _, s := range c.specs() {
		if s.name == name {
			return s, true
		}
	}
	return spec{}, false
}

func (c *Cluster) names() string {
	var names []string
	for _, s := range c.specs() {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// etcdCommand skips fsync: nothing here has to survive a power failure, and disks of CI are slow.
func (c *Cluster) etcdCommand() []string {
	client, peer := "http://"+loopback(etcdPort), "http://"+loopback(etcdPeerPort)
	return []string{c.bin("etcd"),
		"--name=eshell", "--data-dir=" + c.data("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=eshell=" + peer,
	}
}

func (c *Cluster) apiserverCommand() []string {
	return []string{c.bin("kube-apiserver"),
		"--etcd-servers=http://" + loopback(etcdPort),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", apiserverPort),
		"--advertise-address=" + nodeIP,
		"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		"--kubelet-client-certificate=" + c.pki("kubelet-client.crt"),
		"--kubelet-client-key=" + c.pki("kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki("sa.crt"),
		"--service-account-signing-key-file=" + c.pki("sa.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--audit-policy-file=" + c.etc("audit.yaml"), "--audit-log-path=" + c.AuditLog(),
		"--audit-log-format=json",
	}
}

func (c *Cluster) controllerCommand() []string {
	return []string{c.bin("kube-controller-manager"),
		"--kubeconfig=" + c.etc("controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", controllerPort),
		"--cert-dir=" + c.data("controller-manager"),
		"--leader-elect=false", "--use-service-account-credentials",
		"--service-account-private-key-file=" + c.pki("sa.key"), "--root-ca-file=" + c.pki("ca.crt"),
		"--cluster-signing-cert-file=" + c.pki("ca.crt"), "--cluster-signing-key-file=" + c.pki("ca.key"),
		"--flex-volume-plugin-dir=" + c.data("flexvolume"),
	}
}

func (c *Cluster) schedulerCommand() []string {
	return []string{c.bin("kube-scheduler"),
		"--kubeconfig=" + c.etc("scheduler.kubeconfig"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", schedulerPort),
		"--cert-dir=" + c.data("scheduler"),
		"--leader-elect=false",
	}
}

func (c *Cluster) kubeletCommand() []string {
	return []string{c.bin("kubelet"),
		"--config=" + c.etc("kubelet.yaml"), "--kubeconfig=" + c.etc("kubelet.kubeconfig"),
		"--hostname-override=" + nodeName, "--node-ip=" + nodeIP,
		"--root-dir=" + c.data("kubelet"), "--cert-dir=" + c.data("kubelet-pki"), "--v=2",
	}
}
