//go:build unix

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// TestServer asks the API server for what differs between versions of Kubernetes and matters to a session. It
// asserts that the documentation says so, and records the answers: docs/compatibility.md is made of them.
func TestServer(t *testing.T) {
	t.Parallel()
	info, err := client(t).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	server, err := version.ParseSemantic(info.GitVersion)
	if err != nil {
		t.Fatal(err)
	}
	t.Attr("kubernetes", server.String())
	here := newRealm(t, "server", joinablePod+streamRoles)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/app", inTime)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=PodScheduled", "pod/unpulled", inTime)

	t.Run("permission", func(t *testing.T) {
		want := pick(server.AtLeast(version.MajorMinor(1, 35)), "`get` and `create`", "`get`")
		got := here.verbs(t)
		t.Attr("permission", fmt.Sprintf("a WebSocket stream needs %s on `pods/exec` and `pods/attach` "+
			"([permissions](permissions.md#what-happens-without-them))", got))
		if got != want {
			t.Errorf("a WebSocket stream needs %s, want %s, as docs/permissions.md says", got, want)
		}
	})
	t.Run("opening", func(t *testing.T) {
		want := pick(server.AtLeast(version.MajorMinor(1, 36)), "after", "before")
		got := pick(here.opens(t, "unpulled", "admin", "system:masters"), "before", "after")
		t.Attr("opening", fmt.Sprintf("a WebSocket stream opens %s the node has answered "+
			"([design](design.md#lost-connections))", got))
		if got != want {
			t.Errorf("a WebSocket stream opens %s the node has answered, want %s, as docs/design.md says",
				got, want)
		}
	})
}

// streamRoles let three users have streams, and unpulled is a pod whose container does not run, so that its
// node refuses them.
const streamRoles = `
---
apiVersion: v1
kind: Pod
metadata: {name: unpulled}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/none:1"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: create}
rules: [{apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: get}
rules: [{apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: create}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: create}
subjects: [{kind: User, name: may-create}, {kind: User, name: may-both}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: get}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: get}
subjects: [{kind: User, name: may-get}, {kind: User, name: may-both}]
`

// verbs are what a user has to be allowed to do with a pod's streams, to have one by WebSocket.
func (r namespaceFixture) verbs(t *testing.T) string {
	t.Helper()
	for _, who := range []struct{ user, verbs string }{
		{"may-get", "`get`"}, {"may-create", "`create`"}, {"may-both", "`get` and `create`"},
	} {
		if r.opens(t, "app", who.user) {
			return who.verbs
		}
	}
	t.Fatal("nobody is allowed to have a stream")
	return ""
}

// opens asks for WebSocket streams of a pod, of a command and of its process, and says whether the API server
// opens them.
func (r namespaceFixture) opens(t *testing.T, pod, user string, groups ...string) bool {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	config.NextProtos = []string{"http/1.1"} // HTTP/2 cannot be upgraded
	server, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	command := r.opensOne(t, server, pod, "exec",
		&corev1.PodExecOptions{Container: "app", Command: []string{"true"}, Stdout: true})
	process := r.opensOne(t, server, pod, "attach", &corev1.PodAttachOptions{Container: "app", Stdout: true})
	if command != process {
		t.Errorf("pod/%s, user %s: exec opens: %t, attach opens: %t", pod, user, command, process)
	}
	return command
}

func (r namespaceFixture) opensOne(t *testing.T, server http.RoundTripper, pod, stream string,
	options runtime.Object) bool {
	t.Helper()
	address := client(t).CoreV1().RESTClient().Get().Namespace(r.namespace).Resource("pods").Name(pod).
		SubResource(stream).VersionedParams(options, scheme.ParameterCodec).URL()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		"Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}
	answer, err := server.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return true
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s of pod/%s: %d: %s", stream, pod, answer.StatusCode, strings.TrimSpace(string(text)))
	return false
}
