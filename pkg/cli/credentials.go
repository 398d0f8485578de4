package cli

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// renewing sends a request that was answered with 401 once more: a session outlives its credentials, and may
// learn so from the answer only. client-go runs a credential plugin again then, but for the requests that
// follow. It reads a file with a token again within a minute, and looks for another certificate when it opens
// a connection. The server has done nothing for a client that it did not accept.
type renewing struct {
	http.RoundTripper
	tokenFile string  // empty: there is none
	reconnect func()  // closes the connections, which keep their certificate; nil: none
	plugin    *plugin // is left alone when it has failed
}

// plugin is a credential plugin. One that has failed is not run again for a while, by no request and no
// stream: it may open a browser each time, write to the terminal, or count as a wrong password. The clean-up
// alone tries every 250 ms, and a lost connection is sought every second.
type plugin struct {
	mu    sync.Mutex
	err   error
	until time.Time // when it may run again
	pause time.Duration
}

// The pause after a failure is twice as long as the one before it.
const (
	firstPause = 5 * time.Second
	mostPause  = 20 * time.Second // the shortest lease
)

// failed returns why the plugin is not run now, or nil if it may be.
func (p *plugin) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return p.err
	}
	return nil
}

// note takes notice of how something ended that may have run the plugin.
func (p *plugin) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.pause = 0
	case isOfPlugin(err) && !time.Now().Before(p.until):
		p.pause = max(firstPause, min(2*p.pause, mostPause))
		p.err, p.until = err, time.Now().Add(p.pause)
	}
}

// guarded opens streams, and does not run a plugin that has failed for them.
type guarded struct {
	stream.Remote
	plugin *plugin
}

// Exec runs a command in a container.
func (g guarded) Exec(ctx context.Context, c stream.Container, command []string,
	streams remotecommand.StreamOptions) error {
	return g.guard(func() error { return g.Remote.Exec(ctx, c, command, streams) })
}

// Attach attaches to a container's process.
func (g guarded) Attach(ctx context.Context, c stream.Container, streams remotecommand.StreamOptions) error {
	return g.guard(func() error { return g.Remote.Attach(ctx, c, streams) })
}

func (g guarded) guard(open func() error) error {
	if err := g.plugin.failed(); err != nil {
		return err
	}
	err := open()
	g.plugin.note(err)
	return err
}

// renew returns a transport with credentials that can change: from a plugin, or from files.
func renew(transport http.RoundTripper, config *rest.Config, p *plugin, reconnect func()) http.RoundTripper {
	switch {
	case config.CertFile != "":
		return &renewing{transport, config.BearerTokenFile, reconnect, p}
	case config.BearerTokenFile != "" || config.ExecProvider != nil || config.AuthProvider != nil:
		return &renewing{transport, config.BearerTokenFile, nil, p}
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
	if err := r.plugin.failed(); err != nil {
		return nil, err
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
		r.plugin.note(err)
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

// gettingCredentials begins what client-go says of a credential plugin that has failed. It has no type for
// that.
const gettingCredentials = "getting credentials: "

// pluginHangs begins what is said of one that does not end.
const pluginHangs = gettingCredentials + "the plugin hangs"

func isOfPlugin(err error) bool {
	return err != nil && strings.Contains(err.Error(), gettingCredentials)
}
