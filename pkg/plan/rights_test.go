package plan

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// TestRights: what the workload is allowed on its node is told, and what only the clone is allowed is a
// warning.
func TestRights(t *testing.T) {
	strong := func(t *workload.Workload) {
		t.Template.Spec.HostUsers, t.Template.Spec.HostPID = new(false), true
		t.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true),
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN", "SYS_TIME"}}}
	}
	root := func(o *Options) { o.Identity.UID = new(int64(0)) }
	patch := func(spec string) func(*Options) {
		return func(o *Options) {
			o.Overrides = Overrides{Patch: `{"spec":` + spec + `}`, Type: "strategic"}
		}
	}
	const more = "warning: more rights than the workload: "
	for _, tt := range []struct {
		name   string
		target *workload.Workload
		option func(*Options)
		want   string
	}{
		{"none", deployment(strict), func(*Options) {}, ""},
		{"of the workload", deployment(strong), func(*Options) {}, "keeps the node's processes, keeps privileged container app, " +
			"keeps capabilities NET_ADMIN, SYS_TIME of container app, keeps users of its own (hostUsers: false)"},
		{"root", deployment(), root, more + "user 0 (root) in container app"},
		{"what the workload had dropped", deployment(strict), patch(
			`{"containers":[{"name":"app","securityContext":{"runAsNonRoot":false,"allowPrivilegeEscalation":true}}]}`),
			more + "running as root in container app, " + more + "privilege escalation in container app"},
		{"of the node", deployment(strict), patch(`{"hostNetwork":true,"hostIPC":true}`),
			more + "the node's network, " + more + "the node's IPC"},
		{"of the kernel", deployment(), patch(
			`{"containers":[{"name":"app","securityContext":{"privileged":true,"capabilities":{"add":["SYS_ADMIN"]}}}]}`),
			more + "privileged container app, " + more + "capabilities SYS_ADMIN of container app"},
		{"other users", deployment(strong), patch(`{"hostUsers":true}`), "keeps the node's processes, " +
			"keeps privileged container app, keeps capabilities NET_ADMIN, SYS_TIME of container app, " + more + "the node's users"},
		{"a toolbox", deployment(strong), func(o *Options) { o.Toolbox = "busybox:musl" }, "keeps the node's processes, " +
			"keeps privileged container app, keeps capabilities NET_ADMIN, SYS_TIME of container app, " +
			"keeps users of its own (hostUsers: false)"},
	} {
		p, err := Clone(tt.target, options(tt.option))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var told []string
		for _, note := range p.Notes {
			switch {
			case note.Kind == Warning:
				told = append(told, "warning: "+note.What)
			case note.Kind == Kept && !slices.ContainsFunc([]string{"service account", "label"},
				func(other string) bool { return strings.HasPrefix(note.What, other) }):
				told = append(told, "keeps "+note.What)
			}
		}
		if got := strings.Join(told, ", "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
