// Package accessproxy stands before an API server as products do that control access to it: it holds requests
// back until somebody approves them, shows words of its own, and is particular about streams.
package accessproxy

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/tlsproxy"
)

// Rules are what a proxy does. The zero value forwards everything.
type Rules struct {
	// Holds are the requests that wait until somebody approves them. They are processed then even if their
	// client has gone.
	Holds func(*http.Request) bool
	// Fakes reports that a debug container runs which is not there: its streams wait until somebody approves
	// them, and it is added then. It is for one session.
	Fakes bool
	// Words begin what comes through each WebSocket, as output of a command. The rest comes when it is
	// approved. (The API server has opened the stream by then.)
	Words string
	// Refusal is the status that answers a request for a WebSocket; 0: they are opened. SPDY always is.
	Refusal int
	// Redirects returns the address to which a request is redirected, as if its client had to log in there;
	// "": it is forwarded.
	Redirects func(*http.Request) string
	// Idle is how long a WebSocket lasts without a data frame, whatever pings there are; 0: for ever.
	Idle time.Duration
	// ClientCAs have issued the certificates that clients must have, on each connection; nil: they need none.
	ClientCAs *x509.CertPool
}

// Proxy forwards requests, with the credentials that it was made with. Its methods may be called from any
// goroutine.
type Proxy struct {
	*tlsproxy.Proxy
	rules Rules
	base  http.RoundTripper
	fake  *fake // nil: nothing is faked

	held, approved, closed chan struct{}
	once                   struct{ held, approved, closed sync.Once }
}

// New starts a proxy on a free loopback port.
func New(config *rest.Config, rules Rules) (*Proxy, error) {
	p := &Proxy{rules: rules, held: make(chan struct{}), approved: make(chan struct{}),
		closed: make(chan struct{})}
	if rules.Fakes {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		p.fake = &fake{client: client, isFaked: make(chan struct{})}
	}
	var err error
	p.Proxy, err = tlsproxy.New(config, tlsproxy.Hooks{ClientCAs: rules.ClientCAs,
		Transport: func(base http.RoundTripper) http.RoundTripper { p.base = base; return p }})
	return p, err
}

// Held is closed when something waits for an approval for the first time.
func (p *Proxy) Held() <-chan struct{} { return p.held }

// Approve lets everything pass that waits, and that comes later.
func (p *Proxy) Approve() { p.once.approved.Do(func() { close(p.approved) }) }

// Close ends the proxy and all its connections. What waits is forgotten.
func (p *Proxy) Close() {
	p.once.closed.Do(func() { close(p.closed) })
	p.Proxy.Close()
}

var errClosed = errors.New("the proxy was closed")

func (p *Proxy) wait() error {
	p.once.held.Do(func() { close(p.held) })
	select {
	case <-p.approved:
		return nil
	case <-p.closed:
		return errClosed
	}
}

// RoundTrip forwards one request.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	isSocket := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	if isSocket && p.rules.Refusal != 0 {
		return page(r, p.rules.Refusal, "no WebSockets here"), nil
	}
	if p.rules.Redirects != nil {
		if to := p.rules.Redirects(r); to != "" {
			answer := page(r, http.StatusTemporaryRedirect, "log in")
			answer.Header.Set("Location", to)
			return answer, nil
		}
	}
	if p.fake != nil {
		if answer, known, err := p.fake.roundTrip(p, r); known || err != nil {
			return answer, err
		}
	}
	if p.rules.Holds != nil && p.rules.Holds(r) {
		var err error
		if r, err = p.holdBack(r); err != nil {
			return nil, err
		}
	}
	answer, err := p.base.RoundTrip(r)
	if err != nil || !isSocket || answer.StatusCode != http.StatusSwitchingProtocols {
		return answer, err
	}
	if both, is := answer.Body.(io.ReadWriteCloser); is {
		answer.Body = p.watch(both)
	}
	return answer, nil
}

// holdBack returns the request when it is approved. Its client might not wait for that.
func (p *Proxy) holdBack(r *http.Request) (*http.Request, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if err := p.wait(); err != nil {
		return nil, err
	}
	r = r.Clone(context.WithoutCancel(r.Context()))
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r, nil
}

// page answers a request as no API server does.
func page(r *http.Request, status int, words string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/html"}},
		Body:   io.NopCloser(strings.NewReader("<html>" + words + "</html>")),
	}
}

// watch returns the WebSocket that its client gets.
func (p *Proxy) watch(server io.ReadWriteCloser) io.ReadWriteCloser {
	s := &socket{ReadWriteCloser: server, proxy: p}
	if p.rules.Words != "" {
		s.first = textFrame(p.rules.Words)
	}
	if p.rules.Idle > 0 {
		idle := time.AfterFunc(p.rules.Idle, func() { server.Close() })
		isUsed := func() { idle.Reset(p.rules.Idle) }
		s.toClient.data, s.toServer.data = isUsed, isUsed
	}
	return s
}
