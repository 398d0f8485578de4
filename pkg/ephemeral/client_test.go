package ephemeral

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// ok is an object, in JSON.
func ok(body string) answer { return answer{200, "application/json", body} }

// status is an API server's refusal, with its details in JSON.
func status(code int, reason, message, details string) answer {
	return answer{code, "application/json",
		fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,`+
			`"reason":%q,"details":%s,"code":%d}`, message, reason, details, code)}
}

// server gives the answers in their order, and the last one again and again. It tells its version to those
// who ask.
type server struct {
	answers []answer
	version string // or "" if it does not tell it

	mu   sync.Mutex
	seen []request
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, request{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), string(body)})
	a := s.answers[0]
	switch {
	case r.URL.Path == "/version" && s.version == "":
		a = status(403, "Forbidden", "no", "null")
	case r.URL.Path == "/version":
		a = ok(`{"gitVersion":"` + s.version + `"}`)
	case len(s.answers) > 1:
		s.answers = s.answers[1:]
	}
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(a.code)
	_, _ = io.WriteString(w, a.body)
}

// requests returns the methods and paths that the server has seen.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, r := range s.seen {
		lines = append(lines, r.method+" "+r.path)
	}
	return lines
}

// start returns a client of the server for the namespace shop.
func (s *server) start(t *testing.T) *Client {
	t.Helper()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: listening.URL, QPS: -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return New(client, "shop")
}

// debugger is a container to add.
func debugger(name string) corev1.EphemeralContainer {
	return corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "busybox", Stdin: true},
		TargetContainerName:      "app",
	}
}

// named is a pod of which only the metadata is known.
func named(name string, uid types.UID) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}
}

const addedPath = "PATCH /api/v1/namespaces/shop/pods/web/ephemeralcontainers"

func TestAdd(t *testing.T) {
	s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","uid":"uid-1"},` +
		`"spec":{"containers":null,"ephemeralContainers":[{"name":"debugger","resources":{}}]}}`)}}
	pod, err := s.start(t).Add(t.Context(), named("web", "uid-1"), debugger("debugger"))
	if err != nil {
		t.Fatal(err)
	}
	want := named("web", "uid-1")
	want.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}}
	if !reflect.DeepEqual(pod, want) {
		t.Errorf("pod:\n%+v, want\n%+v", pod, want)
	}
	wantSeen := []request{{
		"PATCH", "/api/v1/namespaces/shop/pods/web/ephemeralcontainers",
		"application/strategic-merge-patch+json",
		`{"metadata":{"uid":"uid-1"},"spec":{"ephemeralContainers":[` +
			`{"name":"debugger","image":"busybox","resources":{},"stdin":true,"targetContainerName":"app"}]}}`,
	}}
	if !reflect.DeepEqual(s.seen, wantSeen) {
		t.Errorf("requests:\n%+v, want\n%+v", s.seen, wantSeen)
	}
}

// A pod of any UID is meant if none is given.
func TestAddByName(t *testing.T) {
	s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1"}`)}}
	if _, err := s.start(t).Add(t.Context(), named("web", ""), debugger("d")); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.seen[0].body, "metadata") {
		t.Errorf("patch %s", s.seen[0].body)
	}
}

func TestOptions(t *testing.T) {
	add := func(c *Client, options ...Option) error {
		_, err := c.Add(t.Context(), named("web", "uid-1"), debugger("d"), options...)
		return err
	}
	patch := func(kind types.PatchType) func(*Client, ...Option) error {
		return func(c *Client, options ...Option) error {
			_, err := c.Patch(t.Context(), "web", kind, []byte("{}"), options...)
			return err
		}
	}
	replace := func(c *Client, options ...Option) error {
		_, err := c.Replace(t.Context(), "web", same, options...)
		return err
	}
	all := []Option{DryRun(), FieldManager("me"), FieldValidation("Strict"), Timeout(time.Minute)}
	const query = "?dryRun=All&fieldManager=me&fieldValidation=Strict"
	const get, put = "GET /api/v1/namespaces/shop/pods/web", "PUT /api/v1/namespaces/shop/pods/web/ephemeralcontainers"
	const invalid = `PatchOptions.meta.k8s.io "" is invalid: `
	tests := []struct {
		name    string
		call    func(*Client, ...Option) error
		options []Option
		seen    []string
		err     string // its end
	}{
		{"add", add, all, []string{addedPath + query}, ""},
		{"patch", patch(types.MergePatchType), all, []string{addedPath + query}, ""},
		{"apply by force", patch(types.ApplyYAMLPatchType), append(all, Force()),
			[]string{addedPath + "?dryRun=All&fieldManager=me&fieldValidation=Strict&force=true"}, ""},
		{"replace", replace, all, []string{get, put + query}, ""},
		{"add by force", add, []Option{Force()}, nil,
			invalid + "force: Forbidden: may not be specified for non-apply patch"},
		{"replace by force", replace, []Option{Force()}, nil,
			invalid + "force: Forbidden: may not be specified for non-apply patch"},
		{"apply as nobody", patch(types.ApplyYAMLPatchType), nil, nil,
			invalid + "fieldManager: Required value: is required for apply patch"},
		{"two at once", add, []Option{FieldValidation("Sure"), Timeout(0)}, nil,
			invalid + `[fieldValidation: Unsupported value: "Sure": supported values: "", "Ignore", "Strict", "Warn", ` +
				`timeout: Invalid value: "0s": must be greater than 0]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"}}`)}}
			err := tt.call(s.start(t), tt.options...)
			var refused *InvalidError
			if (err != nil) != (tt.err != "") || err != nil && (!strings.HasSuffix(err.Error(), tt.err) ||
				!errors.As(err, &refused) || !apierrors.IsInvalid(err)) {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if got := s.requests(); !reflect.DeepEqual(got, tt.seen) {
				t.Errorf("requests %q, want %q", got, tt.seen)
			}
		})
	}
}

// A server that does not answer is given up after the timeout.
func TestTimeout(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: silent.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(client, "shop").Add(t.Context(), named("web", ""), debugger("d"), Timeout(50*time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestRefused(t *testing.T) {
	const (
		tried         = "add a debug container to pod/web: "
		oldServerHint = "they need Kubernetes 1.25, or 1.23, where they are beta"
		forbiddenHint = `ask for "patch" on pods/ephemeralcontainers: the admin and edit roles do not have it`
		notFound      = "the server could not find the requested resource"
		forbidden     = `pods "web" is forbidden: User "dev" cannot patch resource "pods/ephemeralcontainers" in API group ""`
		static        = `Pod "web" is invalid: : Forbidden: static pods do not support ephemeral containers`
		immutable     = `Pod "web" is invalid: metadata.uid: Invalid value: "uid-1": field is immutable`
	)
	lacks := func(err error) bool {
		var lacking *ForbiddenError
		return errors.As(err, &lacking) && lacking.Verb == "patch" &&
			lacking.Resource == "pods/ephemeralcontainers" && apierrors.IsForbidden(err)
	}
	refuses := func(err error) bool {
		var lacking *ForbiddenError
		return apierrors.IsForbidden(err) && !errors.As(err, &lacking)
	}
	is := func(target error) func(error) bool {
		return func(err error) bool {
			var answer apierrors.APIStatus
			return errors.Is(err, target) && errors.As(err, &answer)
		}
	}
	tests := []struct {
		name      string
		answer    answer
		version   string
		err, hint string
		is        func(error) bool
	}{
		{"an old server, without details", status(404, "NotFound", notFound, "null"), "v1.19.16",
			"add a debug container to pod/web: the server has no ephemeral containers, which need Kubernetes 1.23 (it is v1.19.16): " + notFound, oldServerHint,
			is(ErrUnsupported)},
		{"an old server, without a name", status(404, "NotFound", notFound, `{"kind":"pods"}`), "v1.22.17",
			"add a debug container to pod/web: the server has no ephemeral containers, which need Kubernetes 1.23 (it is v1.22.17): " + notFound, oldServerHint,
			is(ErrUnsupported)},
		{"an old server that does not tell its version", status(404, "NotFound", notFound, "{}"), "",
			"add a debug container to pod/web: the server has no ephemeral containers, which need Kubernetes 1.23: " + notFound, oldServerHint, is(ErrUnsupported)},
		{"no such pod", status(404, "NotFound", `pods "web" not found`, `{"name":"web","kind":"pods"}`), "",
			tried + `pods "web" not found`, "", apierrors.IsNotFound},
		{"forbidden", status(403, "Forbidden", forbidden, `{"name":"web","kind":"pods"}`), "",
			tried + forbidden, forbiddenHint, lacks},
		{"refused by a policy", status(403, "Forbidden", `pods "web" is forbidden: violates PodSecurity`,
			`{"name":"web"}`), "", tried + `pods "web" is forbidden: violates PodSecurity`, "", refuses},
		{"a static pod", status(422, "Invalid", static, `{"name":"web"}`), "",
			tried + ErrMirrorPod.Error() + ": " + static, "", is(ErrMirrorPod)},
		{"another pod of this name by now", status(422, "Invalid", immutable,
			`{"name":"web","causes":[{"reason":"FieldValueInvalid","message":"x","field":"metadata.uid"}]}`), "",
			tried + "another pod has this name by now: " + immutable, "", is(ErrReplaced)},
		{"not an API server", answer{404, "text/plain", "404 page not found\n"}, "",
			tried + "the server could not find the requested resource (patch pods web)", "",
			apierrors.IsNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{answers: []answer{tt.answer}, version: tt.version}
			pod, err := s.start(t).Add(t.Context(), named("web", "uid-1"), debugger("d"))
			if err == nil {
				t.Fatal("no error")
			}
			want := []string{addedPath}
			if errors.Is(err, ErrUnsupported) { // only then is the version asked for
				want = append(want, "GET /version")
			}
			if got := s.requests(); pod != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("pod %v after %q, want none after %q", pod, got, want)
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
			var old *UnsupportedError
			if !tt.is(err) || errors.As(err, &old) && old.ServerVersion != tt.version {
				t.Errorf("the error is of another type: %#v", err)
			}
		})
	}
}

func TestGet(t *testing.T) {
	s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"},
		"spec":{"ephemeralContainers":[
			{"name":"done","image":"a","targetContainerName":"app"},{"name":"on","image":"b"},
			{"name":"pulled","image":"c"},{"name":"new","image":"d"}]},
		"status":{"ephemeralContainerStatuses":[
			{"name":"on","state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}}},
			{"name":"done","state":{"terminated":{"exitCode":3,"reason":"Error","startedAt":"2026-01-02T03:04:05Z"}}},
			{"name":"pulled","state":{"waiting":{"reason":"ErrImagePull"}}}]}}`)}}
	pod, err := s.start(t).Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	for i := range pod.Containers {
		pod.Containers[i].Started = pod.Containers[i].Started.UTC()
	}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := []Container{
		{Name: "done", Image: "a", Target: "app", State: Terminated, Reason: "Error", ExitCode: new(int32(3)),
			Started: began},
		{Name: "on", Image: "b", State: Running, Started: began},
		{Name: "pulled", Image: "c", State: Waiting, Reason: "ErrImagePull"},
		{Name: "new", Image: "d", State: Waiting},
	}
	if !reflect.DeepEqual(pod.Containers, want) || pod.Name != "web" {
		t.Errorf("pod/%s:\n%+v, want\n%+v", pod.Name, pod.Containers, want)
	}
}

// A list is read page by page, and has only the pods with ephemeral containers.
func TestList(t *testing.T) {
	const page = `{"kind":"PodList","apiVersion":"v1","metadata":{"continue":%q},"items":[` +
		`{"metadata":{"name":"none"}},{"metadata":{"name":%q},"spec":{"ephemeralContainers":[{"name":"d"}]}}]}`
	s := &server{answers: []answer{ok(fmt.Sprintf(page, "more", "one")), ok(fmt.Sprintf(page, "", "two"))}}
	pods, err := s.start(t).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name+" "+pod.Containers[0].Name)
	}
	if want := []string{"one d", "two d"}; !reflect.DeepEqual(names, want) {
		t.Errorf("list %q, want %q", names, want)
	}
	const path = "GET /api/v1/namespaces/shop/pods?"
	if got, want := s.requests(), []string{path + "labelSelector=app%3Dweb&limit=500",
		path + "continue=more&labelSelector=app%3Dweb&limit=500"}; !reflect.DeepEqual(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
}

func same(pod *corev1.Pod) ([]corev1.EphemeralContainer, error) {
	return pod.Spec.EphemeralContainers, nil
}

func TestReplace(t *testing.T) {
	pod := func(version, uid string) answer {
		return ok(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","uid":"` + uid + `","resourceVersion":"` +
			version + `"},"spec":{"containers":[{"name":"app"}],"ephemeralContainers":[{"name":"old"}]}}`)
	}
	conflict := status(409, "Conflict", "the object has been modified", `{"name":"web","kind":"pods"}`)
	refused := errors.New("refused by the caller")
	add := func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error) {
		return append(pod.Spec.EphemeralContainers, debugger("new")), nil
	}
	tests := []struct {
		name     string
		answers  []answer
		change   func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error)
		requests int
		body     string // part of the last one
		is       func(error) bool
	}{
		{"at once", []answer{pod("1", "a"), pod("2", "a")}, add, 2, `"resourceVersion":"1"`, nil},
		{"after a conflict", []answer{pod("1", "a"), conflict, pod("5", "a"), pod("6", "a")}, add, 4,
			`"resourceVersion":"5"`, nil},
		{"never", []answer{pod("1", "a"), conflict, pod("2", "a"), conflict, pod("3", "a"), conflict, pod("4", "a"),
			conflict, pod("5", "a"), conflict}, add, 10, `"name":"new"`, apierrors.IsConflict},
		{"another pod by now", []answer{pod("1", "a"), conflict, pod("5", "b")}, add, 3, "",
			func(err error) bool { return errors.Is(err, ErrReplaced) }},
		{"the caller's error", []answer{pod("1", "a")},
			func(*corev1.Pod) ([]corev1.EphemeralContainer, error) { return nil, refused }, 1, "",
			func(err error) bool { return errors.Is(err, refused) }},
		{"a name twice, and one in use", []answer{pod("1", "a")},
			func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error) {
				return append(pod.Spec.EphemeralContainers, debugger("old"), debugger("app")), nil
			}, 1, "", func(err error) bool {
				return strings.HasSuffix(err.Error(), `[spec.ephemeralContainers[1].name: Duplicate value: "old", `+
					`spec.ephemeralContainers[2].name: Duplicate value: "app"]`) && apierrors.IsInvalid(err)
			}},
		{"no such pod", []answer{status(404, "NotFound", `pods "web" not found`, `{"name":"web"}`)}, add, 1, "",
			apierrors.IsNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &server{answers: tt.answers}
			_, err := s.start(t).Replace(t.Context(), "web", tt.change)
			if (err != nil) != (tt.is != nil) || err != nil && !tt.is(err) {
				t.Errorf("error %v", err)
			}
			last := s.seen[len(s.seen)-1]
			if len(s.seen) != tt.requests || !strings.Contains(last.body, tt.body) {
				t.Errorf("%d requests, want %d; the last one: %s", len(s.seen), tt.requests, last.body)
			}
		})
	}
}

func TestPatch(t *testing.T) {
	const probe = `{"spec":{"ephemeralContainers":[{"name":"d","livenessProbe":{"periodSeconds":1}},{"name":"e","ports":[{}]}]}}`
	const refusal = `patch the ephemeral containers of pod/web: Pod "web" is invalid: ` +
		`[spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container, ` +
		`spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container]`
	tests := []struct {
		kind  types.PatchType
		patch string
		err   string
	}{
		{types.StrategicMergePatchType, probe, refusal},
		{types.MergePatchType, probe, refusal},
		{types.ApplyYAMLPatchType, probe, refusal},
		{types.ApplyYAMLPatchType, "spec:\n  ephemeralContainers:\n  - name: d\n", ""},
		{types.JSONPatchType, `[{"op":"add","path":"/spec/ephemeralContainers/-","value":{"name":"d","ports":[]}}]`, ""},
		{types.MergePatchType, "[", "patch the ephemeral containers of pod/web: read the patch: "},
	}
	for _, tt := range tests {
		s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1"}`)}}
		_, err := s.start(t).Patch(t.Context(), "web", tt.kind, []byte(tt.patch), FieldManager("me"))
		if (err != nil) != (tt.err != "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%s %s: error %v, want %s", tt.kind, tt.patch, err, cmp.Or(tt.err, "none"))
		}
		if want := tt.err == ""; len(s.seen) == 1 != want || want && (s.seen[0].contentType != string(tt.kind) ||
			s.seen[0].body != tt.patch) {
			t.Errorf("%s %s: requests %+v", tt.kind, tt.patch, s.seen)
		}
	}
}
