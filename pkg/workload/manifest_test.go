package workload

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func manifest(text string) func(*Query) { return func(q *Query) { q.Manifest = []byte(text) } }

func unnamed(q *Query) { q.Reference = Reference{} }

func enforced(q *Query) { q.EnforceNamespace = true }

const (
	podYAML        = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, labels: {app: api}}\nspec: {containers: [{name: app, image: api:3}]}\n"
	deploymentYAML = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n" +
		"spec: {selector: {matchLabels: {app: api}}, template: {metadata: {labels: {app: api}}, spec: {containers: [{name: app, image: api:3}]}}}\n"
	rolloutYAML = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\n" +
		"spec: {selector: {matchLabels: {app: web}}, template: {spec: {containers: [{name: app, image: api:3}]}}}\n"
	jobYAML        = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: seed-}\nspec: {template: {spec: {containers: [{name: app, image: api:3}]}}}\n"
	controllerYAML = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rc}\nspec: {template: {metadata: {labels: {app: api}}, spec: {containers: [{name: app, image: api:3}]}}}\n"
	serviceYAML    = "apiVersion: v1\nkind: Service\nmetadata: {name: api}\nspec: {selector: {app: api}}\n"
	sealedYAML     = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: key}\nspec: {template: {type: Opaque}}\n"
	next           = "---\n"
)

func namespaced(document string) string {
	return strings.Replace(document, "{name:", "{namespace: other, name:", 1)
}

func listOf(kind string, documents ...string) string {
	list := "apiVersion: v1\nkind: " + kind + "\nitems:\n"
	for _, d := range documents {
		list += "- " + strings.ReplaceAll(strings.TrimSpace(d), "\n", "\n  ") + "\n"
	}
	return list
}

func TestManifest(t *testing.T) {
	named := func(typ, name string) func(*Query) {
		return func(q *Query) {
			q.Reference = Reference{Type: typ, Name: name}
			if k, ok := kindNamed(typ); ok {
				q.Reference = Reference{Kind: k.name, Name: name}
			}
		}
	}
	tests := []struct {
		name     string
		manifest string
		changes  []func(*Query)
		want     string // the workload, its namespace and what surrounds it
	}{
		{"a pod", podYAML, nil, "pod/one in shop: "},
		{"a deployment", deploymentYAML, nil, "deployment/api in shop: deployment/api app=api"},
		{"a controller without a selector", controllerYAML, nil,
			"replicationcontroller/rc in shop: replicationcontroller/rc app=api"},
		{"by what its name begins with", jobYAML + next + strings.Replace(jobYAML, "seed-", "other-", 1),
			[]func(*Query){named("job", "seed")}, "job/seed in shop: "},
		{"by its namespace", deploymentYAML + next + namespaced(deploymentYAML),
			[]func(*Query){named("deployment", "api"), enforced}, "deployment/api in shop: deployment/api app=api"},
		{"a custom one", rolloutYAML, nil, "rollout/web in shop: rollout/web app=web"},
		{"JSON", `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [{"name": "app", "image": "api:3"}]}}`, nil, "pod/one in shop: "},
		{"without a name", jobYAML, nil, "job/seed in shop: "},
		{"among others", "# comment\n" + next + serviceYAML + next + sealedYAML + next + deploymentYAML +
			next, nil, "deployment/api in shop: deployment/api app=api"},
		{"in a list", listOf("List", serviceYAML, deploymentYAML), nil,
			"deployment/api in shop: deployment/api app=api"},
		{"in a list of its kind",
			listOf("PodList", strings.Replace(podYAML, "apiVersion: v1\nkind: Pod\n", "", 1)), nil,
			"pod/one in shop: "},
		{"by name", deploymentYAML + next + podYAML, []func(*Query){named("po", "one")}, "pod/one in shop: "},
		{"a custom one by name", deploymentYAML + next + rolloutYAML,
			[]func(*Query){named("rollouts", "web")}, "rollout/web in shop: rollout/web app=web"},
		{"by group and name", deploymentYAML + next + rolloutYAML,
			[]func(*Query){named("Rollout.argoproj.io", "web")}, "rollout/web in shop: rollout/web app=web"},
		{"its namespace", namespaced(podYAML), nil, "pod/one in other: "},
		{"the same namespace", strings.Replace(namespaced(podYAML), "other", "shop", 1),
			[]func(*Query){enforced}, "pod/one in shop: "},
		{"no namespace, enforced", podYAML, []func(*Query){enforced}, "pod/one in shop: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything)},
				query("", append([]func(*Query){unnamed, manifest(tt.manifest)}, tt.changes...)...))
			if err != nil {
				t.Fatal(err)
			}
			if words := got.String() + " in " + got.Namespace + ": " + around(got); words != tt.want {
				t.Errorf("got  %s\nwant %s", words, tt.want)
			}
			if got.Container != "app" || got.Template.Spec.Containers[0].Image != "api:3" {
				t.Errorf("container %q of template %+v", got.Container, got.Template)
			}
		})
	}
}

// The cluster's workload of the same name is not asked for; its pods use the claims.
func TestManifestBesideItsWorkload(t *testing.T) {
	yaml := strings.Replace(deploymentYAML, "spec: {containers",
		"spec: {volumes: [{name: d, persistentVolumeClaim: {claimName: data}}], containers", 1)
	client := cluster(t, everything, deployment(), claim("data"), pod("a", using("data", "n1")))
	got, err := Resolve(t.Context(), Cluster{Client: client}, query("", unnamed, manifest(yaml)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := around(got)+"; "+claimWords(got.Claims),
		"deployment/api app=api; data: of-data used by a on n1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestManifestFails(t *testing.T) {
	const types = "types: pod, deployment, replicaset, statefulset, daemonset, job, cronjob, replicationcontroller, service, and custom ones with a pod template"
	misspelt := func(document string) string { return strings.ReplaceAll(document, "image:", "imgae:") }
	tests := []struct {
		name      string
		query     Query
		err, hint string
	}{
		{"empty", query("", unnamed, manifest("")), "no workload is in the manifest: it has nothing", types},
		{"no workload", query("", unnamed, manifest(serviceYAML+next+sealedYAML)),
			"no workload is in the manifest: it has service/api, sealedsecret/key", types},
		{"several", query("", unnamed, manifest(deploymentYAML+next+jobYAML+next+serviceYAML)),
			"several workloads are in the manifest: deployment/api, job/seed",
			"name one beside -f, as in: deployment/api"},
		{"another name", query("Deployment",
			manifest(strings.Replace(deploymentYAML, "name: api", "name: web", 1)+next+serviceYAML)),
			"the manifest has no deployment/api", "it has: deployment/web"},
		{"twice", query("Deployment", manifest(deploymentYAML+next+deploymentYAML)),
			"the manifest has deployment/api 2 times", ""},
		{"in two namespaces", query("Deployment", manifest(deploymentYAML+next+namespaced(deploymentYAML))),
			"the manifest has deployment/api in namespaces other, shop", "choose one: -n other"},
		{"unnamed, in two namespaces", query("", unnamed, manifest(deploymentYAML+next+namespaced(deploymentYAML))),
			"the manifest has deployment/api in namespaces other, shop", "choose one: -n other"},
		{"many", query("", unnamed, manifest(strings.Repeat(serviceYAML+next, 12))),
			"no workload is in the manifest: it has " + strings.Repeat("service/api, ", 10) + "and 2 more", types},
		{"a removed version", query("Deployment", manifest(strings.Replace(deploymentYAML, "apps/v1", "extensions/v1beta1", 1))),
			"deployment/api of the manifest: its apiVersion extensions/v1beta1 is not served any more: apps/v1 is",
			"change its apiVersion, and check its fields: kubectl explain deployment --api-version=apps/v1"},
		{"a removed version, unnamed",
			query("", unnamed, manifest(strings.Replace(jobYAML, "batch/v1", "batch/v1beta1", 1))),
			"job/seed of the manifest: its apiVersion batch/v1beta1 is not served any more: batch/v1 is",
			"change its apiVersion, and check its fields: kubectl explain job --api-version=batch/v1"},
		{"a service", query("Service", manifest(serviceYAML)),
			"service/api of the manifest: the workload behind it is not looked for in a manifest",
			"name the workload itself, or leave out the name"},
		{"an unknown field", query("Deployment", manifest(misspelt(deploymentYAML))),
			`deployment/api of the manifest: strict decoding error: unknown field "spec.template.spec.containers[0].imgae"`, ""},
		{"no kind", query("", unnamed, manifest(podYAML+next+"password: s3cret\n")),
			"document 2 of the manifest has no apiVersion and kind", ""},
		{"not an object", query("", unnamed, manifest("- s3cret\n")),
			"document 1 of the manifest is not an object", ""},
		{"a list of something else",
			query("", unnamed, manifest("apiVersion: v1\nkind: List\nitems: [s3cret]\n")),
			"document 1 of the manifest has no apiVersion and kind", ""},
		{"another namespace", query("", unnamed, manifest(namespaced(podYAML)), enforced),
			`the namespace from the provided object "other" does not match the namespace "shop"`,
			"You must pass '--namespace=other' to perform this operation."},
		{"a live pod", query("", unnamed, manifest(podYAML), live), "a manifest has no running pods to debug",
			"leave out --mode debug for a clone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, []runtime.Object{}...)},
				tt.query)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}

// TestManifestErrorsRepeatNothing: what is wrong is said without a value, a tag, an anchor or the key of a
// map: each may be a secret.
func TestManifestErrorsRepeatNothing(t *testing.T) {
	document := "document 1 of the manifest: "
	for yaml, want := range map[string]string{
		"a: *s3cret":                     document + "an alias (*) or an anchor (&) cannot be resolved",
		"a: &s3cret [*s3cret]":           document + "an alias (*) or an anchor (&) cannot be resolved",
		"a: b: s3cret":                   document + "mapping values are not allowed in this context",
		"a:\n\t- s3cret":                 document + "line 2: found character that cannot start any token",
		"a: \"s3cret":                    document + "line 2: found unexpected end of stream",
		"a: \"\\q s3cret\"":              document + "found unknown escape character",
		"{\"a\": \"s3cret\"":             document + "unexpected EOF",
		"a: [s3cret, b":                  document + "line 1: did not find expected ',' or ']'",
		"- a\ns3cret: b":                 document + "line 1: did not find expected '-' indicator",
		"%s3cret\na: b":                  document + "found unknown directive name",
		"a: \x01s3cret":                  document + "control characters are not allowed",
		"a: s3cret\xff":                  document + "invalid leading UTF-8 octet",
		"? [s3cret]\n: x":                document + "a key is not a string",
		"? {s3cret: b}\n: x":             document + "a key is not a string",
		"~: s3cret":                      document + "a key is not a string",
		"a: !!int s3cret":                document + "a value does not fit its tag (!!)",
		"<<: s3cret":                     document + "map merge requires map or sequence of maps as the value",
		"a: !!binary s3cret":             document + "!!binary value contains invalid base64 data",
		"apiVersion: v1\nkind: [s3cret]": "document 1 of the manifest has no apiVersion and kind",
	} {
		refuses(t, yaml, want)
	}
	const ofContainer = "template: {spec: {containers: [{name: a}, {name: b, "
	for spec, want := range map[string]string{
		"replicas: s3cret}":   "spec.replicas: the value, a string, has the wrong type or format",
		"replicas: 5.25}":     "spec.replicas: the value, a number, has the wrong type or format",
		`"s3cret s3cret": x}`: "strict decoding error: unknown field whose name is no field's",
		"selector: {matchLabels: {s3cret: [s3cret]}}}": "spec.selector.matchLabels[*]: the value, a list, " +
			"has the wrong type or format",
		"template: s3cret}": "spec.template: the value, a string, has the wrong type or format",
		"template: {metadata: {labels: {s3cret: 5}}}}": "spec.template.metadata.labels[*]: the value, a number, " +
			"has the wrong type or format",
		"template: {metadata: {creationTimestamp: s3cret}}}": "spec.template.metadata.creationTimestamp: " +
			"the value, a string, has the wrong type or format",
		"template: {spec: {containers: [s3cret]}}}": "spec.template.spec.containers[0]: the value, a string, " +
			"has the wrong type or format",
		ofContainer + "ports: [{}, {hostPort: s3cret}]}]}}}": "spec.template.spec.containers[1].ports[1].hostPort: " +
			"the value, a string, has the wrong type or format",
		ofContainer + "resources: {limits: {s3cret: s3cret}}}]}}}": "spec.template.spec.containers[1]" +
			".resources.limits[*]: the value, a string, has the wrong type or format",
		ofContainer + "env: [{value: true, s3cret: 5}]}]}}}": "spec.template.spec.containers[1].env[0].value: " +
			"the value, a boolean, has the wrong type or format",
	} {
		refuses(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {"+spec,
			"deployment/api of the manifest: "+want)
	}
	refuses(t, strings.Replace(deploymentYAML, "matchLabels: {app: api}", "matchLabels: {app: \"s3 cret\"}", 1),
		"deployment/api of the manifest: its selector is not valid")
	refuses(t, strings.Replace(podYAML, "name: one,", "name: s3 cret,", 1),
		"a pod of the manifest: its name is not valid: "+rule(validation.NameIsDNSSubdomain("s3 cret", false)))
	refuses(t, strings.Replace(rolloutYAML, "image: api:3", "image: [s3cret]", 1), "rollout/web of the manifest: "+
		".spec.template.spec.containers[0].image: the value, a list, has the wrong type or format")
}

func refuses(t *testing.T, yaml, want string) {
	t.Helper()
	_, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, []runtime.Object{}...)},
		query("", unnamed, manifest(yaml)))
	if err == nil || err.Error() != want {
		t.Errorf("of %q: %v\nwant %s", yaml, err, want)
	}
}
