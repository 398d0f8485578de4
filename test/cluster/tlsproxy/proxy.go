// Package tlsproxy stands before an API server as another one: it ends its clients' TLS connections, so that
// a test sees each request, and forwards all of them with the credentials that it was made with.
package tlsproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Hooks are what a test does with what passes. Each may be nil.
type Hooks struct {
	// Transport takes the place of base, which sends a request to the API server.
	Transport func(base http.RoundTripper) http.RoundTripper
	// Accepted takes the place of a new connection, before its TLS handshake. Others do not wait for it.
	Accepted func(net.Conn) net.Conn
	// Secured is called when the TLS handshake of a connection has ended, with what Accepted has returned
	// for it.
	Secured func(net.Conn)
	// ClientCAs have issued the certificates that clients must have. If it is nil, they need none.
	ClientCAs *x509.CertPool
}

// Proxy is a server on a loopback port of its own.
type Proxy struct {
	server   *http.Server
	listener *listener
	ca       []byte
	served   chan struct{}
}

// New starts a proxy that forwards to the API server of config.
func New(config *rest.Config, hooks Hooks) (*Proxy, error) {
	handler, err := forward(config, hooks)
	if err != nil {
		return nil, err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy to %s: %w", config.Host, err)
	}
	pair := certificate()
	secure := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if hooks.ClientCAs != nil {
		secure.ClientAuth, secure.ClientCAs = tls.RequireAndVerifyClientCert, hooks.ClientCAs
	}
	p := &Proxy{
		ca:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		server: &http.Server{Handler: handler, TLSConfig: secure, ErrorLog: quiet()},
		served: make(chan struct{}), listener: listen(tcp, secure, hooks),
	}
	go func() {
		defer close(p.served)
		_ = p.server.Serve(p.listener) // it ends when the proxy is closed
	}()
	return p, nil
}

// certificate is that of net/http's own test servers, which is for loopback: a key of our own would take
// longer to generate than most tests take.
func certificate() tls.Certificate {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.TLS.Certificates[0]
}

// forward returns what sends each request on.
func forward(config *rest.Config, hooks Hooks) (http.Handler, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	// Streams have HTTP/1.1 taken over from them, which HTTP/2 knows nothing of.
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	if hooks.Transport != nil {
		transport = hooks.Transport(transport)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, ErrorLog: quiet(),
		// A server that dies sends no answer, not one that says so.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}, nil
}

// quiet is a log for what is meant to happen: that clients go away.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// Addr is the proxy's address, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// CA is the certificate that its clients have to trust, as PEM.
func (p *Proxy) CA() []byte { return p.ca }

// Replace takes the place of the API server in a kubeconfig's cluster.
func (p *Proxy) Replace(cluster *clientcmdapi.Cluster) {
	cluster.Server, cluster.TLSServerName, cluster.CertificateAuthorityData = "https://"+p.Addr(), "", p.CA()
	cluster.CertificateAuthority = ""
}

// Close ends the proxy and all its connections, also those that were taken over for a stream.
func (p *Proxy) Close() {
	_ = p.server.Close()
	p.listener.closeAll()
	<-p.served
}

// handshakeTimeout bounds how long a client may take for its TLS handshake.
const handshakeTimeout = 30 * time.Second

// listener accepts TLS connections whose handshake is over. net/http would do it later, and not say when.
type listener struct {
	net.Listener
	hooks  Hooks
	ready  chan net.Conn
	ctx    context.Context // ends when the listener is closed
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{} // all that are open
}

func listen(tcp net.Listener, secure *tls.Config, hooks Hooks) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{Listener: tcp, hooks: hooks, ready: make(chan net.Conn), ctx: ctx, cancel: cancel,
		conns: map[net.Conn]struct{}{}}
	go l.acceptAll(secure)
	return l
}

// Accept returns the next connection whose handshake is over.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends the listener. Connections stay.
func (l *listener) Close() error {
	l.cancel()
	return l.Listener.Close()
}

func (l *listener) acceptAll(secure *tls.Config) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go l.handshake(conn, secure)
		}
	}
}

// handshake makes a TLS connection of one that was accepted.
func (l *listener) handshake(conn net.Conn, secure *tls.Config) {
	tracked := &tracked{Conn: conn, listener: l}
	if !l.add(tracked) {
		_ = conn.Close()
		return
	}
	conn = tracked
	if l.hooks.Accepted != nil {
		conn = l.hooks.Accepted(conn)
	}
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	defer cancel()
	secured := tls.Server(conn, secure)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return
	}
	if l.hooks.Secured != nil {
		l.hooks.Secured(conn)
	}
	select {
	case l.ready <- secured:
	case <-l.ctx.Done():
		_ = conn.Close()
	}
}

// tracked is a connection that its listener knows as long as it is open.
type tracked struct {
	net.Conn
	listener *listener
}

func (t *tracked) Close() error {
	t.listener.mu.Lock()
	delete(t.listener.conns, t)
	t.listener.mu.Unlock()
	return t.Conn.Close()
}

// add adds a connection, unless the listener was closed in the meantime.
func (l *listener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.conns[conn] = struct{}{}
	return true
}

func (l *listener) closeAll() {
	l.mu.Lock()
	var open []net.Conn
	for conn := range l.conns {
		open = append(open, conn)
	}
	l.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
}
