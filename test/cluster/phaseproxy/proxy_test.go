package phaseproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// backend tells which requests have reached it.
type backend struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.seen = append(b.seen, r.Method+" "+r.URL.Path)
	b.mu.Unlock()
	_, _ = io.WriteString(w, r.Header.Get("Authorization"))
}

func (b *backend) requests() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.seen, ", ")
}

func start(t *testing.T, moment Moment) (*Proxy, *backend, *http.Client) {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	proxy, err := New(&rest.Config{Host: b.URL, BearerToken: "secret"}, moment)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(proxy.CA())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted},
		ForceAttemptHTTP2: true}}
	return proxy, b, client
}

// answer is what a request was answered with, or why it was not.
type answer struct {
	text string
	err  error
}

func ask(t *testing.T, client *http.Client, proxy *Proxy, method, path string) <-chan answer {
	t.Helper()
	return askIn(t.Context(), t, client, proxy, method, path)
}

func askIn(ctx context.Context, t *testing.T, client *http.Client, proxy *Proxy, method,
	path string) <-chan answer {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+proxy.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() {
		response, err := client.Do(request)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		answers <- answer{string(text), err}
	}()
	return answers
}

const pods, container = "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/p/ephemeralcontainers"

func TestHoldsTheAnswerToACreate(t *testing.T) {
	for method, path := range map[string]string{http.MethodPost: pods, http.MethodPatch: container} {
		proxy, backend, client := start(t, Created)
		for _, other := range []string{http.MethodGet, http.MethodDelete} {
			if got := <-ask(t, client, proxy, other, pods); got.text != "Bearer secret" {
				t.Errorf("%s is answered by %+v, want the proxy's credentials", other, got)
			}
		}
		held := ask(t, client, proxy, method, path)
		<-proxy.Reached()
		if got := backend.requests(); !strings.HasSuffix(got, method+" "+path) {
			t.Errorf("the moment came after %s", got)
		}
		select {
		case got := <-held:
			t.Errorf("%s was answered: %+v", method, got)
		default:
		}
		proxy.Release()
		if got := <-held; got.err != nil {
			t.Errorf("%s, released: %v", method, got.err)
		}
		if got := <-ask(t, client, proxy, method, path); got.err != nil {
			t.Errorf("%s, after the release: %v", method, got.err)
		}
	}
}

func TestHoldsDeletes(t *testing.T) {
	proxy, backend, client := start(t, Deleting)
	if got := <-ask(t, client, proxy, http.MethodPost, pods); got.err != nil {
		t.Error(got.err)
	}
	held := ask(t, client, proxy, http.MethodDelete, pods+"/q")
	<-proxy.Reached()
	proxy.Release()
	if got := <-held; got.err != nil {
		t.Errorf("released: %v", got.err)
	}
	if got, want := backend.requests(), "POST "+pods+", DELETE "+pods+"/q"; got != want {
		t.Errorf("the server saw %s, want %s", got, want)
	}
}

// TestHoldsStreams: also those that the client asks for while another is held.
func TestHoldsStreams(t *testing.T) {
	proxy, backend, client := start(t, Attaching)
	if got := <-ask(t, client, proxy, http.MethodDelete, pods+"/q"); got.err != nil {
		t.Error(got.err)
	}
	attach := ask(t, client, proxy, http.MethodGet, pods+"/q/attach")
	<-proxy.Reached()
	exec := ask(t, client, proxy, http.MethodGet, pods+"/q/exec")
	if got := backend.requests(); got != "DELETE "+pods+"/q" {
		t.Errorf("the server saw %s", got)
	}
	proxy.Release()
	for _, held := range []<-chan answer{attach, exec} {
		if got := <-held; got.err != nil {
			t.Errorf("released: %v", got.err)
		}
	}
}

func TestHoldsCreates(t *testing.T) {
	proxy, backend, client := start(t, Creating)
	held := ask(t, client, proxy, http.MethodPatch, container)
	<-proxy.Reached()
	if got := backend.requests(); got != "" {
		t.Errorf("the server saw %s", got)
	}
	proxy.Release()
	if got := <-held; got.err != nil {
		t.Errorf("released: %v", got.err)
	}
}

// TestHoldsWatches: and no other request for the same objects.
func TestHoldsWatches(t *testing.T) {
	proxy, backend, client := start(t, Watching)
	held := ask(t, client, proxy, http.MethodGet, pods+"?watch=true")
	<-proxy.Reached()
	if got := <-ask(t, client, proxy, http.MethodGet, pods+"/q"); got.err != nil {
		t.Error(got.err)
	}
	if got := backend.requests(); got != "GET "+pods+"/q" {
		t.Errorf("the server saw %s", got)
	}
	proxy.Release()
	if got := <-held; got.err != nil {
		t.Errorf("released: %v", got.err)
	}
}

// TestClientGivesUp: what its client does not wait for any more never happens.
func TestClientGivesUp(t *testing.T) {
	proxy, backend, client := start(t, Deleting)
	ctx, giveUp := context.WithCancel(t.Context())
	held := askIn(ctx, t, client, proxy, http.MethodDelete, pods)
	<-proxy.Reached()
	giveUp()
	if got := <-held; !errors.Is(got.err, context.Canceled) {
		t.Errorf("given up: %+v", got)
	}
	proxy.Close()
	if got := backend.requests(); got != "" {
		t.Errorf("the server saw %s", got)
	}
}

func TestBreaks(t *testing.T) {
	for moment, method := range map[Moment]string{Created: http.MethodPost, Deleting: http.MethodDelete} {
		proxy, backend, client := start(t, moment)
		held := ask(t, client, proxy, method, pods)
		<-proxy.Reached()
		proxy.Break()
		if got := <-held; got.err == nil {
			t.Errorf("%s is answered by %q", method, got.text)
		}
		if reached := backend.requests() != ""; reached != (moment == Created) {
			t.Errorf("the server saw %s", backend.requests())
		}
	}
}
