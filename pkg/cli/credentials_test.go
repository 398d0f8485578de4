package cli

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
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
	plugin := rest.Config{ExecProvider: &clientcmdapi.ExecConfig{}}
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
		{"accepted", plugin, "POST", []any{201}, []string{"|body"}, 201, 0},
		{"a plugin", plugin, "POST", []any{401, 201}, []string{"|body", "|body"}, 201, 0},
		{"a certificate", files, "PATCH", []any{401, 200}, []string{"|body", "|body"}, 200, 1},
		{"a token", rest.Config{BearerTokenFile: token}, "PATCH", []any{401, 200},
			[]string{"|body", "Bearer new|body"}, 200, 0},
		{"not accepted", plugin, "POST", []any{401, 401}, []string{"|body", "|body"}, 401, 0},
		{"nothing changes", rest.Config{BearerToken: "old"}, "POST", []any{401}, []string{"|body"}, 401, 0},
		{"closed", plugin, "POST", []any{writing, writing, 201}, []string{"|body", "|body", "|body"}, 201, 0},
		{"closed while an answer is awaited", plugin, "DELETE", []any{reading, 200},
			[]string{"|body", "|body"}, 200, 0},
		{"perhaps made", plugin, "POST", []any{reading}, []string{"|body"}, reading, 0},
		{"other errors", plugin, "GET", []any{io.ErrUnexpectedEOF}, []string{"|body"},
			io.ErrUnexpectedEOF, 0},
		{"a plugin that fails", plugin, "GET", []any{failed}, []string{"|body"}, failed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &answers{next: tt.answers}
				reconnected := 0
				transport := renew(server, &tt.config, func() { reconnected++ })
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

// TestFailedPlugin: a plugin that has failed is left alone for a while.
func TestFailedPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &answers{next: []any{errors.New("getting credentials: exec: exit code 1"), 200}}
		transport := renew(server, &rest.Config{ExecProvider: &clientcmdapi.ExecConfig{}}, nil)
		for n, want := range []int{1, 1, 2} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api", nil)
			if err != nil {
				t.Fatal(err)
			}
			if n == 2 {
				<-time.After(pluginPause)
			}
			answer, err := transport.RoundTrip(request)
			if err == nil {
				answer.Body.Close()
			}
			if isOfPlugin(err) != (n < 2) || len(server.seen) != want {
				t.Errorf("request %d: error %v, the plugin has run %d times, want %d", n, err,
					len(server.seen), want)
			}
		}
	})
}
