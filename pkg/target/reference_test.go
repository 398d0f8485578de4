package target

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
		{"api", Reference{"Pod", "api"}},
		{"api-7d4b9.v2", Reference{"Pod", "api-7d4b9.v2"}},
		{"pod/deploy", Reference{"Pod", "deploy"}},

		{"pod/api", Reference{"Pod", "api"}},
		{"pods/api", Reference{"Pod", "api"}},
		{"po/api", Reference{"Pod", "api"}},
		{"po api", Reference{"Pod", "api"}},
		{"deployment/api", Reference{"Deployment", "api"}},
		{"deployments/api", Reference{"Deployment", "api"}},
		{"deploy/api", Reference{"Deployment", "api"}},
		{"deploy api", Reference{"Deployment", "api"}},
		{"replicaset/api", Reference{"ReplicaSet", "api"}},
		{"replicasets/api", Reference{"ReplicaSet", "api"}},
		{"rs/api", Reference{"ReplicaSet", "api"}},
		{"statefulset/api", Reference{"StatefulSet", "api"}},
		{"statefulsets/api", Reference{"StatefulSet", "api"}},
		{"sts/api", Reference{"StatefulSet", "api"}},
		{"daemonset/api", Reference{"DaemonSet", "api"}},
		{"daemonsets/api", Reference{"DaemonSet", "api"}},
		{"ds/api", Reference{"DaemonSet", "api"}},
		{"job/api", Reference{"Job", "api"}},
		{"jobs/api", Reference{"Job", "api"}},
		{"cronjob/api", Reference{"CronJob", "api"}},
		{"cronjobs/api", Reference{"CronJob", "api"}},
		{"cj/api", Reference{"CronJob", "api"}},
		{"replicationcontroller/api", Reference{"ReplicationController", "api"}},
		{"replicationcontrollers/api", Reference{"ReplicationController", "api"}},
		{"rc/api", Reference{"ReplicationController", "api"}},

		{"Deployment/api", Reference{"Deployment", "api"}},
		{"CronJobs api", Reference{"CronJob", "api"}},
		{"deployments.apps/api", Reference{"Deployment", "api"}},
		{"Deploy.Apps/api", Reference{"Deployment", "api"}},
		{"deployments.v1.apps/api", Reference{"Deployment", "api"}},
		{"cronjobs.batch api", Reference{"CronJob", "api"}},
		{"pods.v1/api", Reference{"Pod", "api"}},
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
		types    = "types: pod, deployment, replicaset, statefulset, daemonset, job, cronjob, replicationcontroller"
		notAName = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'," +
			" and must start and end with an alphanumeric character (e.g. 'example.com'," +
			" regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	)
	tests := []struct {
		words     []string
		err, hint string
	}{
		{nil, "no workload was named", usage},

		{[]string{"node/a"}, `the type "node" is not one that eshell can open`, types},
		{[]string{"node", "a"}, `the type "node" is not one that eshell can open`, types},
		{[]string{"/a"}, `the type "" is not one that eshell can open`, types},
		{[]string{"deployments.example.com/a"}, `the type "deployments.example.com" is not one that eshell can open`, types},
		{[]string{"pods.apps/a"}, `the type "pods.apps" is not one that eshell can open`, types},
		{[]string{"deploy.v1beta1.apps/a"}, `the type "deploy.v1beta1.apps" is not one that eshell can open`, types},

		{[]string{"API"}, `"API" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/"}, `"" is not a valid name: ` + notAName, ""},
		{[]string{"deploy"}, "deploy is a type, and no name follows", "name one, as in deploy/NAME; what is there: kubectl get deployments"},
		{[]string{"deploy", "-a"}, `"-a" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/a/b"}, `"a/b" is not a valid name: ` + notAName, ""},
		{[]string{"deploy/.."}, `".." is not a valid name: ` + notAName, ""},
		{[]string{strings.Repeat("a", 254)}, `"` + strings.Repeat("a", 254) + `" is not a valid name: must be no more than 253 characters`, ""},

		{
			[]string{"deploy/api", "bash"}, "one workload was expected, but there are more words after deploy/api",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},
		{
			[]string{"deploy", "api", "TOKEN=s3cret"}, "one workload was expected, but there are more words after deploy",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},
		{
			[]string{"api", "ls", "-l"}, "one workload was expected, but there are more words after api",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},
	}
	for _, tt := range tests {
		got, err := ParseReference(tt.words)
		if err == nil {
			t.Errorf("ParseReference(%q) = %+v, want an error", tt.words, got)
			continue
		}
		if err.Error() != tt.err || hint.Of(err) != tt.hint {
			t.Errorf("ParseReference(%q):\n%s\nhint: %s\nwant\n%s\nhint: %s", tt.words, err, hint.Of(err), tt.err, tt.hint)
		}
	}
}
