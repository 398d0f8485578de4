//go:build unix

package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/phaseproxy"
)

// joinablePod is a pod that a debug session can join.
const joinablePod = `
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
`

// TestNoEphemeralContainers: of a server that does not have the subresource, as Kubernetes 1.16 to 1.22 by
// default, the error says so, and which version has it and which one the server is. Nothing is left.
func TestNoEphemeralContainers(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "unsupported", joinablePod)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/app", inTime)
	before := here.pods(t)
	const refusal = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
		`"message":"the server could not find the requested resource","reason":"NotFound"`
	for _, server := range []struct {
		name   string
		answer answerer
	}{
		{"disabled", disabled},
		{"without details", says(http.StatusNotFound, refusal+`,"code":404}`)},
		{"with details", says(http.StatusNotFound, refusal+`,"details":{"kind":"pods"},"code":404}`)},
	} {
		t.Run(server.name, func(t *testing.T) {
			old := oldServer(t, server.answer)
			for _, also := range [][]string{nil, {"--dry-run=server"}} {
				end := eshell(t.Context(), append([]string{"--kubeconfig=" + old, "-n", here.namespace,
					"pod/app", "--mode=debug"}, also...)...)
				want := `(?m)^error: .*the server has no ephemeral containers, which need Kubernetes 1\.23 \(it is v1\.22\.17\): `
				if end.status != 125 || !regexp.MustCompile(want).MatchString(end.stderr) {
					t.Errorf("%q: exit status %d, stderr is\n%swant 125 and\n%s", also, end.status, end.stderr, want)
				}
				here.left(t, before)
				here.await(t, "no lease is left", here.hasNoJob)
			}
		})
	}
}

// hasNoJob says whether the realm has no Job, so that no session has a lease there.
func (r namespaceFixture) hasNoJob(ctx context.Context) (bool, error) {
	client, err := asked()
	if err != nil {
		return false, err
	}
	jobs, err := client.BatchV1().Jobs(r.namespace).List(ctx, metav1.ListOptions{})
	return err == nil && len(jobs.Items) == 0, err
}

// answerer answers a request, or passes it on to the real API server.
type answerer func(*http.Request, http.RoundTripper) (*http.Response, error)

// disabled asks the real server for a subresource that it does not have, as pods/ephemeralcontainers is one
// where the feature gate is off. So its answer is a server's own.
func disabled(r *http.Request, server http.RoundTripper) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = strings.Replace(r.URL.Path, "/ephemeralcontainers", "/nosuchsubresource", 1)
	return server.RoundTrip(r)
}

// says answers each request alike, with JSON.
func says(status int, body string) answerer {
	return func(*http.Request, http.RoundTripper) (*http.Response, error) {
		answer := httptest.NewRecorder()
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(status)
		_, err := io.WriteString(answer, body)
		return answer.Result(), err
	}
}

// old is an API server of Kubernetes 1.22 as far as a debug session can see.
type old struct {
	http.RoundTripper
	ephemeral answerer
}

// RoundTrip answers one request.
func (o old) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/ephemeralcontainers"):
		return o.ephemeral(r, o.RoundTripper)
	case r.URL.Path == "/version":
		return says(http.StatusOK, `{"major":"1","minor":"22","gitVersion":"v1.22.17"}`)(r, nil)
	default:
		return o.RoundTripper.RoundTrip(r)
	}
}

// oldServer starts a server without ephemeral containers in front of the real one, and returns the path of a
// kubeconfig for it.
func oldServer(t *testing.T, ephemeral answerer) string {
	t.Helper()
	server, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	server.Wrap(func(next http.RoundTripper) http.RoundTripper { return old{next, ephemeral} })
	proxy, err := phaseproxy.New(server, phaseproxy.Created)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.Release() // it holds nothing
	return kubeconfigVia(t, proxy)
}
