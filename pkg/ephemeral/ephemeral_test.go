package ephemeral

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// request is what a server sees of one request.
type request struct{ method, path, contentType, body string }

// answer is what a server says to it.
type answer struct {
	code        int
	contentType string
	body        string
}

// status is an API server's refusal, with its details in JSON.
func status(code int, reason, message, details string) answer {
	return answer{code, "application/json",
		`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
			`"message":"` + message + `","reason":"` + reason + `","details":` + details + `}`}
}

// add adds a container to the pod web of shop on a server that gives one answer.
func add(t *testing.T, a answer) (pod *corev1.Pod, seen []request, err error) {
	return send(t, a, (*Client).Add)
}

type adding func(*Client, context.Context, string, types.UID, corev1.EphemeralContainer) (*corev1.Pod, error)

func send(t *testing.T, a answer, add adding) (pod *corev1.Pod, seen []request, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, request{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), string(body)})
		w.Header().Set("Content-Type", a.contentType)
		w.WriteHeader(a.code)
		_, _ = io.WriteString(w, a.body)
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	container := corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-x7k2p", Image: "busybox",
			Stdin: true},
		TargetContainerName: "app",
	}
	pod, err = add(New(client.CoreV1().Pods("shop")), t.Context(), "web", "uid-1", container)
	server.Close() // waits for the handler: seen is complete
	return pod, seen, err
}

func TestAdd(t *testing.T) {
	pod, seen, err := add(t,
		answer{200, "application/json",
			`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","uid":"uid-1"},` +
				`"spec":{"containers":null,"ephemeralContainers":[{"name":"eshell-x7k2p","resources":{}}]}}`})
	if err != nil {
		t.Fatal(err)
	}

	want := &corev1.Pod{}
	want.Name, want.UID = "web", "uid-1"
	want.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-x7k2p"}}}
	if !reflect.DeepEqual(pod, want) {
		t.Errorf("pod:\n%+v, want\n%+v", pod, want)
	}

	wantSeen := []request{{
		"PATCH", "/api/v1/namespaces/shop/pods/web/ephemeralcontainers",
		"application/strategic-merge-patch+json",
		`{"metadata":{"uid":"uid-1"},"spec":{"ephemeralContainers":[` +
			`{"name":"eshell-x7k2p","image":"busybox","resources":{},"stdin":true,"targetContainerName":"app"}]}}`,
	}}
	if !reflect.DeepEqual(seen, wantSeen) {
		t.Errorf("requests:\n%+v, want\n%+v", seen, wantSeen)
	}
}

// A dry run is the same request, which the server judges more strictly and does not carry out.
func TestTry(t *testing.T) {
	a := answer{200, "application/json",
		`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"},"spec":{"containers":null}}`}
	_, added, err := send(t, a, (*Client).Add)
	if err != nil {
		t.Fatal(err)
	}
	pod, tried, err := send(t, a, (*Client).Try)
	if err != nil || pod.Name != "web" {
		t.Fatalf("pod/%s, error %v", pod.Name, err)
	}
	added[0].path += "?dryRun=All&fieldValidation=Strict"
	if !reflect.DeepEqual(tried, added) {
		t.Errorf("requests:\n%+v, want\n%+v", tried, added)
	}
}

func TestAddRefused(t *testing.T) {
	const (
		oldServerHint = "they need Kubernetes 1.23; leave out --mode debug for a clone"
		forbiddenHint = `ask for "patch" on pods/ephemeralcontainers: the admin and edit roles do not have it`
		notFound      = "the server could not find the requested resource"
		forbidden     = `pods \"web\" is forbidden: User \"dev\" cannot patch resource \"pods/ephemeralcontainers\"`
	)
	tests := []struct {
		name      string
		answer    answer
		err, hint string
		is        func(error) bool
	}{
		{
			"an old server, without details", status(404, "NotFound", notFound, "null"),
			"the server has no ephemeral containers: " + notFound, oldServerHint, apierrors.IsNotFound,
		},
		{
			"an old server, without a name", status(404, "NotFound", notFound, `{"kind":"pods"}`),
			"the server has no ephemeral containers: " + notFound, oldServerHint, apierrors.IsNotFound,
		},
		{
			"no such pod", status(404, "NotFound", `pods \"web\" not found`, `{"name":"web","kind":"pods"}`),
			`add a debug container to pod/web: pods "web" not found`, "", apierrors.IsNotFound,
		},
		{
			"forbidden", status(403, "Forbidden", forbidden, `{"name":"web","kind":"pods"}`),
			"add a debug container to pod/web: " + strings.ReplaceAll(forbidden, `\`, ""), forbiddenHint,
			apierrors.IsForbidden,
		},
		{
			"another pod of this name by now",
			status(409, "Conflict", "the UID in the precondition does not match",
				`{"name":"web","kind":"pods"}`),
			"add a debug container to pod/web: the UID in the precondition does not match", "",
			apierrors.IsConflict,
		},
		{
			"not an API server", answer{404, "text/plain", "404 page not found\n"},
			"add a debug container to pod/web: the server could not find the requested resource (patch pods web)", "", apierrors.IsNotFound,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod, seen, err := add(t, tt.answer)
			if err == nil {
				t.Fatal("no error")
			}
			if pod != nil || len(seen) != 1 {
				t.Errorf("pod %v after %d requests, want none after 1", pod, len(seen))
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
			if !tt.is(err) {
				t.Error("the server's error is not found in the chain")
			}
		})
	}
}
