package plan

import (
	"errors"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

type (
	change = func(*workload.Workload)
	choice = func(*Options)
)

// spec makes a change of the pod spec one of the workload.
func spec(set func(*corev1.PodSpec)) change {
	return func(t *workload.Workload) { set(&t.Template.Spec) }
}

// app makes a change of the chosen container one of the workload.
func app(set func(*corev1.Container)) change {
	return spec(func(s *corev1.PodSpec) { set(&s.Containers[0]) })
}

func labelled(labels map[string]string) change {
	return func(t *workload.Workload) { t.Template.Labels = labels }
}

func annotated(annotations map[string]string) change {
	return func(t *workload.Workload) { t.Template.Annotations = annotations }
}

// selected puts a Service, a budget and the Deployment itself around app=api.
func selected(t *workload.Workload) {
	t.Template.Labels = map[string]string{"app": "api", "tier": "backend", "pod-template-hash": "7d4b9"}
	match := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}
	service, _ := isolation.OfService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "api"},
		Spec: corev1.ServiceSpec{Selector: match.MatchLabels}})
	budget, _ := isolation.OfBudget(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "api"},
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: match}})
	controller, _ := isolation.OfController("Deployment", "api", match)
	t.NamespaceState.Selectors = []isolation.Selector{service, budget, controller}
}

// policed adds a policy that lets app=api reach the database.
func policed(t *workload.Workload) {
	t.NamespaceState.Policies = []networkingv1.NetworkPolicy{{
		ObjectMeta: metav1.ObjectMeta{Name: "db-ingress"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
				PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}},
			}}}},
		},
	}}
}

func shows(fields ...string) change {
	return app(func(c *corev1.Container) {
		for i, field := range fields {
			c.Env = append(c.Env,
				corev1.EnvVar{Name: string(rune('A' + i)),
					ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: field}}})
		}
	})
}

// mountsVolume gives the container a volume at /mnt.
func mountsVolume(source corev1.VolumeSource) change {
	return spec(func(s *corev1.PodSpec) {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "data", VolumeSource: source})
		s.Containers[0].VolumeMounts = append(s.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: "data", MountPath: "/mnt"})
	})
}

// readOnlyMounts makes all mounts read-only.
func readOnlyMounts(t *workload.Workload) {
	app(func(c *corev1.Container) {
		for i := range c.VolumeMounts {
			c.VolumeMounts[i].ReadOnly = true
		}
	})(t)
}

// claims gives it a claim that a pod on node1 mounts.
func claims(mode corev1.PersistentVolumeAccessMode) change {
	return func(t *workload.Workload) {
		mountsVolume(corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "api-data"}})(t)
		t.Claims = []workload.Claim{{Name: "api-data", Spec: claimSpec(mode),
			Users: []workload.User{{Pod: "api-0", Node: "node1"}}}}
	}
}

func claimSpec(mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaimSpec {
	return &corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{mode}, VolumeName: "pv-1",
		StorageClassName: new("fast"),
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}
}

func volumes(v Volumes) choice { return func(o *Options) { o.Components.Volumes = v } }

func ordinal(n int) choice { return func(o *Options) { o.Components.Ordinal = &n } }

func initially(init Init, names ...string) choice {
	return func(o *Options) { o.Components.Init, o.Components.InitNames = init, names }
}

// chain are init containers of which one needs another's output, beside one that changes a claim.
func chain(t *workload.Workload) {
	claims(corev1.ReadWriteMany)(t)
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	s := &t.Template.Spec
	s.Volumes = append(s.Volumes, corev1.Volume{Name: "fetched", VolumeSource: empty},
		corev1.Volume{Name: "config", VolumeSource: empty})
	s.Containers[0].VolumeMounts = append(s.Containers[0].VolumeMounts,
		corev1.VolumeMount{Name: "config", MountPath: "/etc/api"})
	s.InitContainers = []corev1.Container{
		{Name: "fetch", VolumeMounts: []corev1.VolumeMount{{Name: "fetched", MountPath: "/out"}}},
		{Name: "chown-data", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}},
		{Name: "render", VolumeMounts: []corev1.VolumeMount{{Name: "fetched", MountPath: "/in",
			ReadOnly: true}, {Name: "config", MountPath: "/out"}}},
		{Name: "too-late", VolumeMounts: []corev1.VolumeMount{{Name: "fetched", MountPath: "/out"}}},
	}
}

// reading are init containers that mount, without saying readOnly, what they can only read; and one
// that makes a file system on a new device.
func reading(t *workload.Workload) {
	claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Spec: *claimSpec(corev1.ReadWriteOnce)}
	t.Kind, t.ClaimTemplates = "StatefulSet", []corev1.PersistentVolumeClaim{claim}
	mountsVolume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}})(t)
	s := &t.Template.Spec
	s.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/disk"}}
	s.InitContainers = []corev1.Container{
		{Name: "migrate", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/etc/app"}}},
		{Name: "mkfs", VolumeDevices: []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/disk"}}},
	}
}

// helped shows the resources of a container that does not run in the clone.
func helped(t *workload.Workload) {
	t.Template.Spec.Containers = append(t.Template.Spec.Containers,
		corev1.Container{Name: "helper", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"memory": resource.MustParse("64Mi")}}})
	ref := &corev1.ResourceFieldSelector{ContainerName: "helper", Resource: "limits.memory",
		Divisor: resource.MustParse("1Mi")}
	t.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "HELPER",
		ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: ref}}}
	mountsVolume(corev1.VolumeSource{
		DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "helper",
			ResourceFieldRef: ref}}}})(t)
}

// meshed has a sidecar of each sort; the one that is an init container is waited for.
func meshed(t *workload.Workload) {
	always := corev1.ContainerRestartPolicyAlways
	probe := func() *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString(
				"ready")}}}
	}
	t.Template.Spec.InitContainers = []corev1.Container{
		{Name: "before", VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/in"}}},
		{Name: "mesh", RestartPolicy: &always, StartupProbe: probe(), LivenessProbe: probe(),
			Ports: []corev1.ContainerPort{{Name: "ready", ContainerPort: 15021}}},
	}
	t.Template.Spec.Containers = append(t.Template.Spec.Containers, corev1.Container{
		Name: "worker", ReadinessProbe: probe(), StartupProbe: probe(),
		Ports: []corev1.ContainerPort{{Name: "ready", ContainerPort: 1, HostPort: 1}},
	})
}

// live has what admission and the node have put into a pod.
func live(t *workload.Workload) {
	t.Kind, t.Name = "Pod", "api-7d4b9-x2x2x"
	bound(t)
	token := corev1.VolumeMount{Name: "kube-api-access-abcde",
		MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}
	s := &t.Template.Spec
	s.Volumes = []corev1.Volume{{Name: token.Name,
		VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}}}
	s.Containers[0].VolumeMounts = []corev1.VolumeMount{token}
	s.ServiceAccountName, s.DeprecatedServiceAccount = "default", "default"
	s.Tolerations = []corev1.Toleration{
		{Key: "dedicated", Operator: "Exists"},
		{Key: corev1.TaintNodeNotReady, Operator: "Exists", Effect: "NoExecute",
			TolerationSeconds: new(int64(300))},
		{Key: corev1.TaintNodeUnreachable, Operator: "Exists", Effect: "NoExecute",
			TolerationSeconds: new(int64(300))},
	}
	t.Template.ObjectMeta = metav1.ObjectMeta{
		Name: t.Name, GenerateName: "api-7d4b9-", UID: "1", ResourceVersion: "1",
		Finalizers: []string{"batch.kubernetes.io/job-tracking"},
		Labels:     map[string]string{"app": "api", "pod-template-hash": "7d4b9"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "api-7d4b9",
			Controller: new(true)}},
	}
}

func placed(t *workload.Workload) {
	zone := []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "In", Values: []string{"a"}}}
	s := &t.Template.Spec
	s.Affinity = &corev1.Affinity{
		NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: zone},
					{MatchExpressions: zone}}}},
		PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
				{TopologyKey: "kubernetes.io/hostname"}}},
	}
	s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1}}
	s.PriorityClassName, s.RuntimeClassName, s.SchedulerName = "critical", new("gvisor"), "batch-scheduler"
	s.NodeSelector = map[string]string{"disk": "ssd"}
	s.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: "Exists"}}
}

func onNode(t *workload.Workload) {
	t.Template.Spec.HostNetwork, t.Template.Spec.HostPID = true, true
	app(func(c *corev1.Container) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 9100,
			HostPort: 9100}}
	})(t)
	mountsVolume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/log"}})(t)
}

// devices are a GPU and a claimed one, beside one that only another container claims.
func devices(t *workload.Workload) {
	s := &t.Template.Spec
	s.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("gpu")},
		{Name: "other", ResourceClaimName: new("x")}}
	s.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1"),
			"cpu": resource.MustParse("1")},
		Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1"),
			"hugepages-2Mi": resource.MustParse("2Mi")},
		Claims: []corev1.ResourceClaim{{Name: "gpu"}},
	}
}

func podResources(t *workload.Workload) {
	one := corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")}
	t.Template.Spec.Resources = &corev1.ResourceRequirements{Requests: one, Limits: one}
	t.Template.Spec.Containers = append(t.Template.Spec.Containers,
		corev1.Container{Name: "worker", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("200m")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("300m")}}})
}

func resizable(t *workload.Workload) {
	app(func(c *corev1.Container) {
		c.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu",
			RestartPolicy: corev1.RestartContainer}}
		c.RestartPolicy = new(corev1.ContainerRestartPolicyOnFailure)
		c.RestartPolicyRules = []corev1.ContainerRestartRule{
			{Action: corev1.ContainerRestartRuleActionRestart}}
	})(t)
}

func tokens(t *workload.Workload) {
	mountsVolume(corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "vault", Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "ca"}}},
		}}})(t)
	t.Template.Spec.ServiceAccountName = "api"
}

func downwardFile(fields ...string) change {
	var items []corev1.DownwardAPIVolumeFile
	for _, field := range fields {
		items = append(items,
			corev1.DownwardAPIVolumeFile{Path: "labels/one",
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: field}})
	}
	return mountsVolume(corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: items}})
}

func keep(o *Options) { o.Labels.Keep = true }

func patch(kind, text string) choice {
	return func(o *Options) { o.Overrides = Overrides{Patch: text, Type: kind} }
}

// TestTraps is what cloning breaks, each case by what it does about it.
func TestTraps(t *testing.T) {
	tests := map[string]struct {
		target  *workload.Workload
		options Options
	}{
		"labels-selected": {deployment(selected, policed), options()},
		"labels-kept": {deployment(selected, policed),
			options(func(o *Options) { o.Labels.Keep = true })},
		"labels-changed": {deployment(selected), options(func(o *Options) {
			o.Labels = isolation.LabelOptions{Set: map[string]string{"role": "console"},
				Drop: []string{"tier"}}
		})},
		"labels-unknown": {deployment(selected,
			func(t *workload.Workload) { t.NamespaceState.Unknown = errors.New("services is forbidden") }),
			options()},
		"labels-marks": {deployment(
			labelled(map[string]string{"helm.sh/chart": "api-1", "kueue.x-k8s.io/queue-name": "q",
				"argocd.argoproj.io/instance": "x",
				"team":                        "shop", "app.kubernetes.io/managed-by": "Helm"})), options()},
		"annotations": {deployment(annotated(map[string]string{
			"vault.hashicorp.com/agent-inject": "true", "kubectl.kubernetes.io/restartedAt": "now",
			"argocd.argoproj.io/tracking-id":                      "x",
			"container.apparmor.security.beta.kubernetes.io/app":  "runtime/default",
			"container.apparmor.security.beta.kubernetes.io/gone": "runtime/default",
			"cluster-autoscaler.kubernetes.io/safe-to-evict":      "true",
			"k8s.v1.cni.cncf.io/network-status":                   "[]", "k8s.v1.cni.cncf.io/networks": "net",
			"prometheus.io/scrape": "true", "sidecar.istio.io/status": "{}",
			"sidecar.istio.io/inject": "true",
		})), options()},
		"downward": {deployment(selected,
			annotated(map[string]string{"kubectl.kubernetes.io/restartedAt": "$(now)"}),
			shows("metadata.labels['app']", "metadata.labels['tier']",
				"metadata.annotations['kubectl.kubernetes.io/restartedAt']",
				"metadata.labels['pod-template-hash']", "metadata.name"),
			downwardFile("metadata.labels['app']", "metadata.labels['tier']", "metadata.labels")), options()},
		"downward-template": {deployment(stateful, shows("metadata.labels['apps.kubernetes.io/pod-index']")),
			options()},
		"downward-ordinal": {deployment(stateful,
			shows("metadata.labels['apps.kubernetes.io/pod-index']",
				"metadata.labels['statefulset.kubernetes.io/pod-name']")), options(ordinal(2))},
		"downward-dropped": {deployment(helped), options()},
		"init-reads":       {deployment(reading), options()},
		"live-pod":         {deployment(live), options()},
		"with": {deployment(busy, meshed),
			options(func(o *Options) { o.Components.With = []string{"mesh"} })},
		"with-all":       {deployment(meshed), options(func(o *Options) { o.Components.WithAll = true })},
		"init-chain":     {deployment(chain), options()},
		"init-all":       {deployment(chain), options(initially(InitAll))},
		"init-none":      {deployment(chain), options(initially(InitNone))},
		"init-named":     {deployment(chain), options(initially(InitNamed, "chown-data"))},
		"init-fresh":     {deployment(chain), options(volumes(VolumesFresh))},
		"resizable":      {deployment(resizable), options()},
		"placed":         {deployment(placed), options()},
		"placed-node":    {deployment(placed), options(func(o *Options) { o.Node = "node7" })},
		"node-shared":    {deployment(onNode), options()},
		"node-readonly":  {deployment(onNode), options(volumes(VolumesReadOnly))},
		"node-read":      {deployment(onNode, readOnlyMounts), options()},
		"claim-read":     {deployment(claims(corev1.ReadWriteMany), readOnlyMounts), options()},
		"claim-once":     {deployment(claims(corev1.ReadWriteOnce)), options()},
		"claim-many":     {deployment(claims(corev1.ReadWriteMany)), options()},
		"claim-readonly": {deployment(claims(corev1.ReadWriteOnce)), options(volumes(VolumesReadOnly))},
		"claim-fresh":    {deployment(claims(corev1.ReadWriteOncePod)), options(volumes(VolumesFresh))},
		"claim-unknown": {deployment(claims(corev1.ReadWriteOnce), func(t *workload.Workload) {
			t.Claims[0].Spec, t.Claims[0].Users, t.Claims[0].UsersErr = nil, nil,
				errors.New("pods is forbidden")
		}), options()},
		"statefulset-ordinal": {deployment(stateful, func(t *workload.Workload) {
			t.Claims = []workload.Claim{{Name: "data-db-2", Spec: claimSpec(corev1.ReadWriteOnce),
				Users: []workload.User{{Pod: "db-2", Node: "node3"}}}}
		}), options(volumes(VolumesShared), ordinal(2))},
		"pod-resources": {deployment(podResources), options(overrides)},
		"pod-resources-with": {deployment(podResources),
			options(overrides, func(o *Options) { o.Components.WithAll = true })},
		"devices": {deployment(devices), options()},
		"no-devices": {deployment(devices),
			options(func(o *Options) { o.Components.NoDevices = true })},
		"pinned": {deployment(
			func(t *workload.Workload) { t.Running = map[string]string{"app": "api@sha256:1234"} }),
			options(func(o *Options) { o.Pin = true })},
		"identity": {deployment(strict, tokens), options(func(o *Options) {
			o.Identity = Identity{ServiceAccount: "reader", UID: new(int64(7)), GID: new(int64(8)),
				PullSecrets: []string{"registry"}}
		})},
		"no-token": {deployment(tokens), options(func(o *Options) { o.Identity.NoToken = true })},
		"indexed": {deployment(func(t *workload.Workload) { t.Kind, t.Indexed = "Job", true }),
			options()},
		"windows": {deployment(
			spec(func(s *corev1.PodSpec) { s.OS = &corev1.PodOS{Name: corev1.Windows} })),
			options(byAttach, func(o *Options) { o.Command = []string{"powershell"} })},
		"entrypoint": {deployment(),
			options(func(o *Options) { o.Entrypoint, o.Command = true, []string{"rails", "$x"} })},
		"entrypoint-shell": {deployment(), options(func(o *Options) { o.Entrypoint = true })},
		"toolbox":          {deployment(strict), options(func(o *Options) { o.Toolbox = "busybox:musl" })},
		"toolbox-nonroot": {deployment(
			spec(func(s *corev1.PodSpec) {
				s.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(
					true)}
			})), options(func(o *Options) { o.Toolbox = "busybox:musl" }, byAttach)},
		"overrides-merge": {deployment(),
			options(patch("merge", `{"spec":{"dnsPolicy":"None","hostAliases":[{"ip":"127.0.0.1"}]}}`))},
		"overrides-strategic": {deployment(),
			options(patch("strategic",
				`{"spec":{"containers":[{"name":"app","image":"other"},{"name":"db","image":"db"}]}}`))},
		"overrides-json": {deployment(),
			options(patch("json", `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Clone(tt.target, tt.options)
			if err != nil {
				t.Fatal(err, hint.Of(err))
			}
			golden(t, filepath.Join("testdata", "trap-"+name+".golden"), render(t, p))
		})
	}
}

// TestTrapRefusals are what no clone is made of.
func TestTrapRefusals(t *testing.T) {
	tests := map[string]struct {
		target    *workload.Workload
		options   Options
		err, hint string
	}{
		"a claim that one pod has": {deployment(claims(corev1.ReadWriteOncePod)), options(),
			"claim api-data is ReadWriteOncePod and in use by pod/api-0: only one pod can mount it",
			"a volume of its own: --volumes fresh; or the running pod itself: kubectl eshell pod/api-0 -n shop --mode debug"},
		"another node than the claim's": {deployment(claims(corev1.ReadWriteOnce)),
			options(func(o *Options) { o.Node = "node2" }),
			"the clone cannot be on node node2 (--node): it has to be on node node1", ""},
		"fresh, like an unknown one": {deployment(claims(corev1.ReadWriteOnce),
			func(t *workload.Workload) { t.Claims[0].Spec, t.Claims[0].Err = nil, errors.New("forbidden") }),
			options(volumes(VolumesFresh)),
			"--volumes fresh: claim api-data could not be read, so its size and class are not known: forbidden", ""},
		"shared, but whose": {deployment(stateful), options(volumes(VolumesShared)),
			"--volumes shared: each pod of statefulset/db has claims of its own",
			"take those of its first pod: --volumes shared --ordinal 0"},
		"an ordinal of what": {deployment(), options(ordinal(0)),
			"--ordinal needs a StatefulSet, and deployment/api is not one", ""},
		"with whom": {deployment(busy), options(func(o *Options) { o.Components.With = []string{"nobody"} }),
			`--with: deployment/api has no container "nobody"`,
			"containers: app, proxy, render, reads, migrate, mesh"},
		"init with whom": {deployment(busy), options(initially(InitNamed, "app")),
			`--init: deployment/api has no init container "app"`, "init containers: render, reads, migrate"},
		"init with a sidecar": {deployment(busy), options(initially(InitNamed, "mesh")),
			"--init: mesh is a sidecar", "run it: --with mesh"},
		"root where none may be": {deployment(strict),
			options(func(o *Options) { o.Identity.UID = new(int64(0)) }),
			"--as-user 0: container app must not run as root (runAsNonRoot)", ""},
		"nothing to pin": {deployment(), options(func(o *Options) { o.Pin = true }),
			"--pin: the image that container app runs has no digest in a registry",
			"leave out --pin for the image of the template: api:1"},
		"a shell on Windows": {deployment(
			spec(func(s *corev1.PodSpec) {
				s.NodeSelector = map[string]string{"kubernetes.io/os": "windows"}
			})), options(),
			"deployment/api runs on Windows, which has no sh: use --via attach with a command",
			"kubectl eshell deployment/api -n shop --via attach -- powershell"},
		"overrides: another command": {deployment(),
			options(patch("merge", `{"spec":{"containers":[{"name":"app","image":"x"}]}}`)),
			"--overrides: container app must stay, with its command and stdin and never restarted: they are the session", "lists are replaced as a whole by a merge; --override-type strategic merges containers by name"},
		"overrides: an unknown field": {deployment(), options(patch("merge", `{"spec":{"nosuch":1}}`)),
			`--overrides: strict decoding error: unknown field "spec.nosuch"`, ""},
		"overrides: another name": {deployment(), options(patch("merge", `{"metadata":{"name":"x"}}`)),
			"--overrides: metadata.name and metadata.namespace cannot be overridden", ""},
		"overrides: an owner": {deployment(),
			options(patch("merge", `{"metadata":{"ownerReferences":[{"name":"x"}]}}`)),
			"--overrides: a clone has no owner but its lease and no finalizers: it could not be deleted with the session", ""},
		"overrides: for ever": {deployment(),
			options(patch("merge", `{"spec":{"activeDeadlineSeconds":null}}`)),
			"--overrides: restartPolicy Never and activeDeadlineSeconds end the session", ""},
		"overrides: our label": {deployment(),
			options(patch("json",
				`[{"op":"remove","path":"/metadata/labels/kubectl-eshell.github.io~1session"}]`)),
			"--overrides: label kubectl-eshell.github.io/session is reserved: eshell finds its clones by it",
			""},
		"overrides: back into the service": {deployment(selected),
			options(patch("merge", `{"metadata":{"labels":{"app":"api"}}}`)),
			"--overrides: service/api, poddisruptionbudget/api and deployment/api would select the clone",
			"--keep-labels accepts it"},
		"overrides: a controller's mark": {deployment(selected),
			options(patch("merge", `{"metadata":{"labels":{"pod-template-hash":"x"}}}`), keep),
			"--overrides: label pod-template-hash: controllers use it to find the pods that they made", ""},
		"overrides: a label that cannot be judged": {deployment(
			func(t *workload.Workload) { t.NamespaceState.Unknown = errors.New("forbidden") }),
			options(patch("merge", `{"metadata":{"labels":{"x":"y"}}}`)),
			"--overrides: label x cannot be judged: forbidden", ""},
		"overrides: without the gate": {deployment(selected),
			options(patch("merge", `{"spec":{"readinessGates":null}}`), keep),
			"--overrides: readiness gate kubectl-eshell.github.io/never-ready keeps the clone out of Services; add others beside it with --override-type strategic or json", ""},
		"overrides: no grace": {deployment(),
			options(patch("merge", `{"spec":{"terminationGracePeriodSeconds":0}}`)),
			"--overrides: terminationGracePeriodSeconds is at least 1: 0 frees the name and the volumes before the processes are gone", ""},
		"overrides: longer than its time": {deployment(),
			options(patch("merge", `{"spec":{"activeDeadlineSeconds":99999999}}`)),
			"--overrides: restartPolicy Never and activeDeadlineSeconds end the session", ""},
		"overrides: restarted": {deployment(),
			options(patch("strategic", `{"spec":{"containers":[{"name":"app","restartPolicy":"Always"}]}}`)),
			"--overrides: container app must stay, with its command and stdin and never restarted: they are the session", "lists are replaced as a whole by a merge; --override-type strategic merges containers by name"},
		"overrides: a secret is not repeated": {deployment(),
			options(patch("strategic", `{"spec":{"containers":[{"nme":"s3cret"}]}}`)),
			"--overrides: the patch does not fit a pod: it names what is not there, has a value of another type, or (strategic) an element of a list without its key", ""},
		"a sidecar of what": {deployment(busy, func(t *workload.Workload) { t.Container = "mesh" }),
			options(),
			"container mesh of deployment/api is a sidecar: a clone is made of a container, not of a sidecar",
			"a running one is joined with: kubectl eshell deployment/api -n shop -c mesh --mode debug"},
		"with an init container": {deployment(busy),
			options(func(o *Options) { o.Components.With = []string{"migrate"} }),
			"--with: migrate is an init container, which runs before the others", "run it: --init migrate"},
		"a claim that is not there": {deployment(claims(corev1.ReadWriteOnce), func(t *workload.Workload) {
			t.Claims[0].Err = apierrors.NewNotFound(corev1.Resource("persistentvolumeclaims"), "api-data")
		}), options(), `volume data: persistentvolumeclaims "api-data" not found`,
			"list what there is: kubectl get persistentvolumeclaims -n shop"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Clone(tt.target, tt.options)
			if err == nil {
				t.Fatal("a plan was made")
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error %q, hint %q; want %q, %q", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}
