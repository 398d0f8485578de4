package embedded

// The cluster's addresses. They are unusual on purpose: it shares the machine with
// other clusters and must not meet them.
const (
	apiserverPort  = 16443
	etcdPort       = 12379
	etcdPeerPort   = 12380
	kubeletPort    = 11250
	kubeletHealth  = 11248
	controllerPort = 11257
	schedulerPort  = 11259
	registryPort   = 11500

	bridge      = "eshell0"
	nodeName    = "node1"
	nodeIP      = "10.245.0.1" // the bridge's: a node's address must not be loopback
	nodeMask    = "16"
	podCIDR     = "10.245.0.0/16"
	serviceCIDR = "10.97.0.0/16"
	serviceIP   = "10.97.0.1"
	dnsIP       = "10.97.0.10" // nobody answers there

	// cgroupRoot keeps this kubelet's pods out of sight of any other kubelet, which
	// would remove their cgroups as orphans.
	cgroupRoot = "/eshell"
)

// ports names the ports on loopback and who listens there.
func ports() map[int]string {
	return map[int]string{
		apiserverPort: "apiserver", etcdPort: "etcd", etcdPeerPort: "etcd's peers",
		kubeletHealth:  "kubelet's health",
		controllerPort: "controller-manager", schedulerPort: "scheduler",
		registryPort: "registry notfound.test",
	}
}
