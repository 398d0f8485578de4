package workload

import (
	"strings"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func TestParseReference(t *testing.T) {
	tests := []struct {
		words string
		want  Reference
	}{
		{"api", Reference{Kind: "Pod", Name: "api"}},
		{"api-7d4b9.v2", Reference{Kind: "Pod", Name: "api-7d4b9.v2"}},
		{"pod/deploy", Reference{Kind: "Pod", Name: "deploy"}},

		{"pod/api", Reference{Kind: "Pod", Name: "api"}},
		{"pods/api", Reference{Kind: "Pod", Name: "api"}},
		{"po/api", Reference{Kind: "Pod", Name: "api"}},
		{"po api", Reference{Kind: "Pod", Name: "api"}},
		{"deployment/api", Reference{Kind: "Deployment", Name: "api"}},
		{"deployments/api", Reference{Kind: "Deployment", Name: "api"}},
		{"deploy/api", Reference{Kind: "Deployment", Name: "api"}},
		{"deploy api", Reference{Kind: "Deployment", Name: "api"}},
		{"replicaset/api", Reference{Kind: "ReplicaSet", Name: "api"}},
		{"replicasets/api", Reference{Kind: "ReplicaSet", Name: "api"}},
		{"rs/api", Reference{Kind: "ReplicaSet", Name: "api"}},
		{"statefulset/api", Reference{Kind: "StatefulSet", Name: "api"}},
		{"statefulsets/api", Reference{Kind: "StatefulSet", Name: "api"}},
		{"sts/api", Reference{Kind: "StatefulSet", Name: "api"}},
		{"daemonset/api", Reference{Kind: "DaemonSet", Name: "api"}},
		{"daemonsets/api", Reference{Kind: "DaemonSet", Name: "api"}},
		{"ds/api", Reference{Kind: "DaemonSet", Name: "api"}},
		{"job/api", Reference{Kind: "Job", Name: "api"}},
		{"jobs/api", Reference{Kind: "Job", Name: "api"}},
		{"cronjob/api", Reference{Kind: "CronJob", Name: "api"}},
		{"cronjobs/api", Reference{Kind: "CronJob", Name: "api"}},
		{"cj/api", Reference{Kind: "CronJob", Name: "api"}},
		{"replicationcontroller/api", Reference{Kind: "ReplicationController", Name: "api"}},
		{"replicationcontrollers/api", Reference{Kind: "ReplicationController", Name: "api"}},
		{"rc/api", Reference{Kind: "ReplicationController", Name: "api"}},

		{"Deployment/api", Reference{Kind: "Deployment", Name: "api"}},
		{"CronJobs api", Reference{Kind: "CronJob", Name: "api"}},
		{"deployments.apps/api", Reference{Kind: "Deployment", Name: "api"}},
		{"Deploy.Apps/api", Reference{Kind: "Deployment", Name: "api"}},
		{"deployments.v1.apps/api", Reference{Kind: "Deployment", Name: "api"}},
		{"cronjobs.batch api", Reference{Kind: "CronJob", Name: "api"}},
		{"pods.v1/api", Reference{Kind: "Pod", Name: "api"}},

		{"service/api", Reference{Kind: "Service", Name: "api"}},
		{"services/api", Reference{Kind: "Service", Name: "api"}},
		{"svc api", Reference{Kind: "Service", Name: "api"}},

		// What is not built in, or not in this group or version, the cluster may know.
		{"rollout/api", Reference{Type: "rollout", Name: "api"}},
		{"node a", Reference{Type: "node", Name: "a"}},
		{"Rollouts.v1alpha1.argoproj.io/api", Reference{Type: "Rollouts.v1alpha1.argoproj.io", Name: "api"}},
		{"deployments.example.com/a", Reference{Type: "deployments.example.com", Name: "a"}},
		{"pods.apps/a", Reference{Type: "pods.apps", Name: "a"}},
		{"deploy.v1beta1.apps/a", Reference{Type: "deploy.v1beta1.apps", Name: "a"}},
	}
	for _, tt := range tests {
		got, err := ParseReference(strings.Fields(tt.words))
		if err != nil || got != tt.want {
			t.Errorf("ParseReference(%q) = %+v, %v; want %+v", tt.words, got, err, tt.want)
		}
	}
}

func TestParseReferenceFails(t *testing.T) {
	const (
		usage    = "kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"
		types    = "types: pod, deployment, replicaset, statefulset, daemonset, job, cronjob, replicationcontroller, service, and custom ones with a pod template"
		notAName = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'," +
			" and must start and end with an alphanumeric character"
	)
	tests := []struct {
		words     []string
		err, hint string
	}{
		{nil, "no workload was named", usage},

		{[]string{"/a"}, "no type stands before the slash", types},
		{[]string{"/TOKEN=s3cret"}, "no type stands before the slash", types},

		{[]string{"API"}, `"API" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/"}, "deploy is a type, and no name follows",
			"name one, as in deploy/NAME; list what there is: kubectl get deployments"},
		{[]string{"deploy"}, "deploy is a type, and no name follows",
			"name one, as in deploy/NAME; list what there is: kubectl get deployments"},
		{[]string{"deploy", "-a"}, `"-a" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/a/b"}, `"a/b" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/.."}, `".." is not a valid name: ` + notAName, ""},
		{[]string{strings.Repeat("a", 254)},
			`"` + strings.Repeat("a", 254) + `" is not a valid name: must be no more than 253 characters`,
			""},

		{
			[]string{"deploy/api", "bash"},
			"expected one workload, but there are more words after deploy/api",
			"a command goes after two dashes: kubectl eshell deploy/api -- bash",
		},
		{
			[]string{"deploy", "api", "TOKEN=s3cret"},
			"expected one workload, but there are more words after deploy",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},
		{
			[]string{"deploy", "api", "echo", "a b"},
			"expected one workload, but there are more words after deploy",
			"a command goes after two dashes: kubectl eshell deploy api -- echo 'a b'",
		},
		{
			[]string{"deploy", "TOKEN=s3cret"},
			"expected one workload, but there are more words after deploy",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},
		{
			[]string{"api", "/bin/sh"}, "expected one workload, but there are more words after api",
			"a command goes after two dashes: kubectl eshell api -- /bin/sh",
		},
		{
			[]string{"api", "ls", "-l"}, "expected one workload, but there are more words after api",
			"a command goes after two dashes: kubectl eshell api -- ls -l",
		},
	}
	for _, tt := range tests {
		got, err := ParseReference(tt.words)
		if err == nil {
			t.Errorf("ParseReference(%q) = %+v, want an error", tt.words, got)
			continue
		}
		if err.Error() != tt.err || hint.Of(err) != tt.hint {
			t.Errorf("ParseReference(%q):\n%s\nhint: %s\nwant\n%s\nhint: %s", tt.words, err, hint.Of(err),
				tt.err, tt.hint)
		}
	}
}
