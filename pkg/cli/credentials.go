package cli

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// renewing sends a request that was answered with 401 once more: a session outlives its credentials, and may
// learn so from the answer only. client-go runs a credential plugin again then, but for the requests that
// follow. It reads a file with a token again within a minute, and looks for another certificate when it opens
// a connection. The server has done nothing for a client that it did not accept.
type renewing struct {
	http.RoundTripper
	tokenFile string                  // empty: there is none
	reconnect func()                  // closes the connections, which keep their certificate; nil: none
	failed    atomic.Pointer[failure] // the last one of the plugin
}

// failure is one of a credential plugin.
type failure struct {
	err error
	at  time.Time
}

// pluginPause is how long a credential plugin that has failed is not run again: it may open a browser each
// time, write to the terminal, or count as a wrong password. The clean-up alone tries every 250 ms.
const pluginPause = 5 * time.Second

// renew returns a transport with credentials that can change: from a plugin, or from files.
func renew(transport http.RoundTripper, config *rest.Config, reconnect func()) http.RoundTripper {
	switch {
	case config.CertFile != "":
		return &renewing{RoundTripper: transport, tokenFile: config.BearerTokenFile, reconnect: reconnect}
	case config.BearerTokenFile != "" || config.ExecProvider != nil || config.AuthProvider != nil:
		return &renewing{RoundTripper: transport, tokenFile: config.BearerTokenFile}
	}
	return transport
}

// RoundTrip passes the request on.
func (r *renewing) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil && request.GetBody == nil {
		return r.RoundTripper.RoundTrip(request)
	}
	answer, err := r.send(request)
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		return answer, err
	}
	answer.Body.Close()
	again := request.Clone(request.Context())
	if token, err := os.ReadFile(r.tokenFile); err == nil && request.Header.Get("Authorization") == "" {
		again.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if r.reconnect != nil {
		r.reconnect()
	}
	return r.send(again)
}

// A connection that was closed here is noticed in a moment, but on a busy machine not by the next request.
const (
	closedPause = 20 * time.Millisecond
	closedTries = 50
)

// send sends a request, and again if it meets a connection that was closed for a new certificate: by
// client-go, or by reconnect. The request itself stays as it is: client-go adds the credentials to what it
// sends.
func (r *renewing) send(request *http.Request) (*http.Response, error) {
	if last := r.failed.Load(); last != nil && time.Since(last.at) < pluginPause {
		return nil, last.err
	}
	for try := 1; ; try++ {
		sent := request.Clone(request.Context())
		if request.GetBody != nil {
			body, err := request.GetBody()
			if err != nil {
				return nil, err
			}
			sent.Body = body
		}
		answer, err := r.RoundTripper.RoundTrip(sent)
		if isOfPlugin(err) {
			r.failed.Store(&failure{err, time.Now()})
		}
		if try == closedTries || !isUnsent(sent, err) {
			return answer, err
		}
		select {
		case <-time.After(closedPause):
		case <-request.Context().Done():
			return answer, err
		}
	}
}

// isUnsent reports whether a request met a connection that was closed here, and can be sent again. The server
// might know it, unless it could not be written. That matters only for one that makes something: our others
// have the same effect the second time.
func isUnsent(request *http.Request, err error) bool {
	if !errors.Is(err, net.ErrClosed) {
		return false
	}
	failed, is := errors.AsType[*net.OpError](err)
	return request.Method != http.MethodPost || is && failed.Op == "write"
}

// isOfPlugin reports whether a credential plugin has failed. client-go has no type for it.
func isOfPlugin(err error) bool {
	return err != nil && strings.Contains(err.Error(), "getting credentials: ")
}
