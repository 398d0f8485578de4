package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// answers are what a server answers to one request after the other: a status, or an error.
type answers struct {
	next []any
	seen []string // of each request: its credentials and its body
}

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		text, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	a.seen = append(a.seen, request.Header.Get("Authorization")+"|"+body)
	request.Header.Set("Authorization", "old") // as client-go's plugin does
	if len(a.next) == 0 {
		return nil, errors.New("one request too many")
	}
	answer := a.next[0]
	a.next = a.next[1:]
	if err, is := answer.(error); is {
		return nil, err
	}
	return &http.Response{StatusCode: answer.(int), Body: http.NoBody}, nil
}

// TestRenewing: a request is sent again with new credentials, and on a new connection, once, and never one
// that the server might have carried out.
func TestRenewing(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := rest.Config{ExecProvider: &clientcmdapi.ExecConfig{}}
	files := rest.Config{TLSClientConfig: rest.TLSClientConfig{CertFile: "tls.crt"}}
	writing := &net.OpError{Op: "write", Err: net.ErrClosed}
	reading := &net.OpError{Op: "read", Err: net.ErrClosed}
	failed := errors.New("getting credentials: exec: executable login failed with exit code 1")
	for _, tt := range []struct {
		name      string
		config    rest.Config
		method    string
		answers   []any
		seen      []string
		end       any // a status or an error
		reconnect int
	}{
		{"accepted", login, "POST", []any{201}, []string{"|body"}, 201, 0},
		{"a plugin", login, "POST", []any{401, 201}, []string{"|body", "|body"}, 201, 0},
		{"a certificate", files, "PATCH", []any{401, 200}, []string{"|body", "|body"}, 200, 1},
		{"a token", rest.Config{BearerTokenFile: token}, "PATCH", []any{401, 200},
			[]string{"|body", "Bearer new|body"}, 200, 0},
		{"not accepted", login, "POST", []any{401, 401}, []string{"|body", "|body"}, 401, 0},
		{"nothing changes", rest.Config{BearerToken: "old"}, "POST", []any{401}, []string{"|body"}, 401, 0},
		{"closed", login, "POST", []any{writing, writing, 201}, []string{"|body", "|body", "|body"}, 201, 0},
		{"closed while an answer is awaited", login, "DELETE", []any{reading, 200},
			[]string{"|body", "|body"}, 200, 0},
		{"perhaps made", login, "POST", []any{reading}, []string{"|body"}, reading, 0},
		{"other errors", login, "GET", []any{io.ErrUnexpectedEOF}, []string{"|body"},
			io.ErrUnexpectedEOF, 0},
		{"a plugin that fails", login, "GET", []any{failed}, []string{"|body"}, failed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &answers{next: tt.answers}
				reconnected := 0
				transport := renew(server, &tt.config, &plugin{}, func() { reconnected++ })
				request, err := http.NewRequestWithContext(t.Context(), tt.method, "https://api",
					strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				var end any
				answer, err := transport.RoundTrip(request)
				if end = err; err == nil {
					answer.Body.Close()
					end = answer.StatusCode
				}
				if end != tt.end || !slices.Equal(server.seen, tt.seen) || reconnected != tt.reconnect {
					t.Errorf("it ends with %v after %q and %d reconnections", end, server.seen, reconnected)
				}
			})
		})
	}
}

// TestFailedPlugin: a plugin that has failed is left alone for a while, which is longer after each failure,
// by requests and by streams.
func TestFailedPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("getting credentials: exec: exit code 1")
		server := &answers{next: []any{failure, failure, failure, failure, 200, failure}}
		p := &plugin{}
		transport := renew(server, &rest.Config{ExecProvider: &clientcmdapi.ExecConfig{}}, p, nil)
		for n, step := range []struct {
			after time.Duration
			runs  int // so far
			fails bool
		}{
			{0, 1, true}, {firstPause - 1, 1, true}, {1, 2, true}, {2*firstPause - 1, 2, true}, {1, 3, true},
			{mostPause, 4, true}, {mostPause, 5, false}, {0, 6, true}, {firstPause - 1, 6, true},
		} {
			<-time.After(step.after)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api", nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := transport.RoundTrip(request)
			if err == nil {
				answer.Body.Close()
			}
			if isOfPlugin(err) != step.fails || len(server.seen) != step.runs {
				t.Errorf("request %d: error %v, the plugin has run %d times, want %d", n, err,
					len(server.seen), step.runs)
			}
		}
		streams := guarded{plugin: p}
		var to stream.Container
		opened := errors.Join(streams.Exec(t.Context(), to, nil, remotecommand.StreamOptions{}),
			streams.Attach(t.Context(), to, remotecommand.StreamOptions{}))
		if opened == nil || opened.Error() != failure.Error()+"\n"+failure.Error() {
			t.Errorf("the streams end with %v", opened)
		}
		err := streams.guard(func() error { t.Error("a stream was opened"); return nil })
		if !errors.Is(err, failure) {
			t.Errorf("a stream ends with %v", err)
		}
		<-time.After(1)
		if err := streams.guard(func() error { return nil }); err != nil || p.failed() != nil {
			t.Errorf("a stream ends with %v", err)
		}
	})
}

// TestPluginFailsOnce: however many requests there are at the beginning, a plugin that fails is run once.
func TestPluginFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		p := &plugin{}
		asks := transport(func(*http.Request) (*http.Response, error) {
			<-time.After(10 * time.Second) // somebody types a password
			runs++
			return nil, errors.New("getting credentials: exec: exit code 1")
		})
		shared := newSharing(renew(asks, &rest.Config{ExecProvider: &clientcmdapi.ExecConfig{}}, p, nil))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := connection{authenticated: shared.authenticated, remote: guarded{plugin: p}}
		c.prepare(ctx, 2) // panics if it opens anything: there is no remote
		var asked sync.WaitGroup
		for range 12 {
			asked.Go(func() {
				request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://api", nil)
				if _, err := shared.RoundTrip(request); !isOfPlugin(err) {
					t.Errorf("error %v", err)
				}
			})
		}
		asked.Wait()
		if runs != 1 {
			t.Errorf("the plugin has run %d times", runs)
		}
	})
}

// transport is a function that answers requests.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }
