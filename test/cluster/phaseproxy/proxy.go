// Package phaseproxy stands before an API server and holds a client at a moment that is too short to
// be met otherwise: when what it creates is there but it has not heard so, or when it is about to delete.
package phaseproxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/tlsproxy"
)

// Moment is when a client is held.
type Moment int

const (
	// Created is after a pod or an ephemeral container was created, and before the answer.
	Created Moment = iota
	// Deleting is before anything is deleted.
	Deleting
	// Attaching is when the client has asked for a stream, and is not answered. Released, it is.
	Attaching
	// Creating is before a pod or an ephemeral container is created.
	Creating
	// Watching is when the client has asked for a watch. Until it is released it hears of no change.
	Watching
)

// Proxy forwards all requests, with the credentials that it was made with, and holds those of its
// moment until it is told what becomes of them. Its methods may be called from any goroutine.
type Proxy struct {
	*tlsproxy.Proxy
	moment Moment
	base   http.RoundTripper

	reached  chan struct{}
	released chan struct{}
	broken   chan struct{}
	once     struct{ reached, released, broken sync.Once }
}

// errBroken means that a request was broken off here.
var errBroken = errors.New("the request was broken off")

// New starts a proxy on a free loopback port.
func New(config *rest.Config, moment Moment) (*Proxy, error) {
	p := &Proxy{moment: moment, reached: make(chan struct{}), released: make(chan struct{}),
		broken: make(chan struct{})}
	held := func(base http.RoundTripper) http.RoundTripper {
		p.base = base
		return p
	}
	var err error
	p.Proxy, err = tlsproxy.New(config, tlsproxy.Hooks{Transport: held})
	return p, err
}

// Reached is closed when the moment has come for the first time.
func (p *Proxy) Reached() <-chan struct{} { return p.reached }

// Release lets go of what is held, and holds nothing any more.
func (p *Proxy) Release() { p.once.released.Do(func() { close(p.released) }) }

// Break breaks off what is held, and holds nothing any more.
func (p *Proxy) Break() {
	p.once.broken.Do(func() { close(p.broken) })
	p.Release()
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.Break()
	p.Proxy.Close()
}

// RoundTrip forwards one request.
func (p *Proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.moment == Deleting && r.Method == http.MethodDelete || p.moment == Attaching && opens(r) ||
		p.moment == Watching && watches(r) || p.moment == Creating && creates(r) {
		if err := p.hold(r.Context()); err != nil {
			return nil, err
		}
	}
	answer, err := p.base.RoundTrip(r)
	if err == nil && p.moment == Created && creates(r) {
		if err := p.hold(r.Context()); err != nil {
			answer.Body.Close()
			return nil, err
		}
	}
	return answer, err
}

func creates(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pods") ||
		r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/ephemeralcontainers")
}

func opens(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/exec") || strings.HasSuffix(r.URL.Path, "/attach")
}

func watches(r *http.Request) bool {
	_, watch := r.URL.Query()["watch"]
	return watch
}

// hold waits until the request may go on, if it may.
func (p *Proxy) hold(ctx context.Context) error {
	select {
	case <-p.released:
		return nil
	default:
	}
	p.once.reached.Do(func() { close(p.reached) })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.broken:
		return errBroken
	case <-p.released:
	}
	select {
	case <-p.broken: // which releases too
		return errBroken
	default:
		return nil
	}
}
