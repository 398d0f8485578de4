// Package countproxy stands before an API server and counts what a client asks of it: requests, connections,
// bytes, and round trips one after the other, which are what a slow network makes a person wait for.
package countproxy

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/tlsproxy"
)

// Weights in round trips.
const (
	requestWeight    = 1
	connectionWeight = 2 // TCP's handshake and that of TLS 1.3
)

// Request is one request of a client.
type Request struct {
	Method string
	Path   string // without the query
	Watch  bool   // whether the query asked for a watch
	Began  time.Time
	// Answered is when the header of the answer was about to be sent. It is zero as long as there is none,
	// and stays zero if there is never one. What the client sends next begins later, never earlier.
	Answered time.Time
}

// String is how a request reads in a list: GET /api/v1/pods?watch=true
func (r Request) String() string {
	if r.Watch {
		return r.Method + " " + r.Path + "?watch=true"
	}
	return r.Method + " " + r.Path
}

// Proxy forwards all requests, with the credentials that it was made with, and counts them. Its methods may
// be called from any goroutine. Embedded are its address and the certificate that its clients have to trust.
type Proxy struct {
	*tlsproxy.Proxy
	base http.RoundTripper

	mu       sync.Mutex
	latency  time.Duration
	requests []*Request
	conns    []*conn

	toClient, toServer atomic.Int64
}

// New starts a proxy on a free loopback port, before the API server of config.
//
// Each round trip takes latency longer: each request, before it is forwarded, and twice that each new
// connection. Choose it above the differences that a busy machine makes, 100 ms for instance: then which
// requests wait for which others, and so RoundTrips, no longer depends on the machine.
func New(config *rest.Config, latency time.Duration) (*Proxy, error) {
	p := &Proxy{latency: latency}
	var err error
	p.Proxy, err = tlsproxy.New(config, tlsproxy.Hooks{
		Transport: func(base http.RoundTripper) http.RoundTripper { p.base = base; return p },
		Accepted:  p.accepted, Secured: p.secured,
	})
	return p, err
}

// SetLatency changes the latency of what begins from now on.
func (p *Proxy) SetLatency(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// Reset forgets all that was counted. Of what is in progress only further bytes count.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.conns = nil, nil
	p.toClient.Store(0)
	p.toServer.Store(0)
}

// Requests are all requests, in the order in which they began.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Request, len(p.requests))
	for i, r := range p.requests {
		all[i] = *r
	}
	return all
}

// Connections is the number of connections that clients have opened.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Bytes are those on the wire, that is compressed and encrypted, with those of TLS but not those of TCP.
func (p *Proxy) Bytes() (toClient, toServer int64) {
	return p.toClient.Load(), p.toServer.Load()
}

// RoundTrips is the number of round trips that followed one another: the weight of the heaviest chain of
// requests and new connections none of which began before the former had ended. A request weighs one, from
// when it arrived to the header of its answer. A new connection weighs two, for TCP and for TLS, from when it
// was accepted to the end of its TLS handshake. What is not answered never ends.
func (p *Proxy) RoundTrips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	spans := make([]span, 0, len(p.requests)+len(p.conns))
	for _, r := range p.requests {
		spans = append(spans, span{r.Began, r.Answered, requestWeight})
	}
	for _, c := range p.conns {
		spans = append(spans, span{c.began, c.secured, connectionWeight})
	}
	return heaviest(spans)
}

// RoundTrip forwards one request.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	_, watch := r.URL.Query()["watch"]
	request := &Request{Method: r.Method, Path: r.URL.Path, Watch: watch, Began: time.Now()}
	p.mu.Lock()
	p.requests = append(p.requests, request)
	latency := p.latency
	p.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	answer, err := p.base.RoundTrip(r)
	if err == nil {
		p.mu.Lock()
		request.Answered = time.Now()
		p.mu.Unlock()
	}
	return answer, err
}

// conn counts the bytes of one connection.
type conn struct {
	net.Conn
	proxy          *Proxy
	began, secured time.Time
}

// accepted holds a new connection for as long as its handshakes would take.
func (p *Proxy) accepted(tcp net.Conn) net.Conn {
	c := &conn{Conn: tcp, proxy: p, began: time.Now()}
	p.mu.Lock()
	p.conns = append(p.conns, c)
	latency := p.latency
	p.mu.Unlock()
	<-time.After(connectionWeight * latency)
	return c
}

func (p *Proxy) secured(secured net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	secured.(*conn).secured = time.Now()
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.proxy.toServer.Add(int64(n))
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.proxy.toClient.Add(int64(n))
	return n, err
}
