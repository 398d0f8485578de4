// Package faultproxy is a TCP proxy that misbehaves on request: it is the bad
// network between a client and the API server in tests.
package faultproxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy forwards TCP connections to one target and injects faults into them.
// Its methods may be called from any goroutine.
type Proxy struct {
	target string
	addr   string
	wait   sync.WaitGroup

	mu        sync.Mutex
	listener  net.Listener // nil while connections are refused
	conns     map[*conn]struct{}
	gate      chan struct{} // closed while traffic may flow
	stalled   bool
	closed    bool
	delay     time.Duration
	handshake bool // whether the delay holds for the TCP handshake too
	rate      int  // bytes a second; 0: no limit
	idle      time.Duration
	traffic   Traffic
}

// Traffic is what went through a proxy since it was reset.
type Traffic struct {
	Connections        int   // that were accepted
	ToClient, ToServer int64 // bytes that were passed on
}

// New starts a proxy on a free loopback port that forwards to target (host:port).
func New(target string) (*Proxy, error) { return On("127.0.0.1", target) }

// On is New on an address of this machine's: one that pods reach, for example.
func On(address, target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy to %s: %w", target, err)
	}
	p := &Proxy{
		target: target, addr: listener.Addr().String(), listener: listener,
		conns: map[*conn]struct{}{}, gate: openGate(),
	}
	p.wait.Go(func() { p.accept(listener) })
	return p, nil
}

// Addr is the proxy's own address, host:port. It stays the same for the proxy's life.
func (p *Proxy) Addr() string { return p.addr }

// Stall stops forwarding in both directions and keeps every connection open,
// like a cable that was pulled: neither side sees a FIN or an RST.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stalled {
		p.stalled, p.gate = true, make(chan struct{})
	}
}

// Resume ends a stall; what was sent meanwhile arrives now, as TCP would retransmit it.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled {
		p.stalled = false
		close(p.gate)
	}
}

// Drop resets every open connection on both sides (RST).
func (p *Proxy) Drop() {
	for _, c := range p.open() {
		c.reset()
	}
}

// Refuse closes the listening port, so that new connections are refused, or opens it again.
// Open connections are not touched.
func (p *Proxy) Refuse(refuse bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || refuse == (p.listener == nil) {
		return nil
	}
	if refuse {
		err := p.listener.Close()
		p.listener = nil
		return err
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("listen again on %s: %w", p.addr, err)
	}
	p.listener = listener
	p.wait.Go(func() { p.accept(listener) })
	return nil
}

// Delay adds d to the way of every byte in each direction; throughput is not limited.
// The TCP handshake itself, which the kernel answers, is not delayed: see DelayHandshake.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// DelayHandshake makes the TCP handshake of new connections cost a round trip of the delay too, as over a
// real network. The kernel has answered the client before the proxy knows of it, so that what is held is
// all that follows: nothing of the connection sets out, in either direction, before a round trip has passed.
func (p *Proxy) DelayHandshake(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handshake = on
}

// handshakeTime is how long a new connection is held.
func (p *Proxy) handshakeTime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.handshake {
		return 0
	}
	return 2 * p.delay
}

// Traffic is what went through the proxy since it was made or ResetTraffic was called.
func (p *Proxy) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.traffic
}

// ResetTraffic counts from zero again. A connection that is open is not counted again, only what it carries.
func (p *Proxy) ResetTraffic() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic = Traffic{}
}

func (p *Proxy) count(more Traffic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic.Connections += more.Connections
	p.traffic.ToClient += more.ToClient
	p.traffic.ToServer += more.ToServer
}

// Rate limits the throughput of each connection, in either direction, in bytes a second: what is not
// forwarded yet stays with its sender, as on a slow link. Zero is no limit.
func (p *Proxy) Rate(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
}

// pause is how long n bytes take at the proxy's rate.
func (p *Proxy) pause(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		return 0
	}
	return time.Duration(n) * time.Second / time.Duration(p.rate)
}

// IdleTimeout closes connections on which no byte came from either side for d, as a
// load balancer does. Zero switches it off.
func (p *Proxy) IdleTimeout(d time.Duration) {
	p.mu.Lock()
	p.idle = d
	p.mu.Unlock()
	for _, c := range p.open() {
		c.touch()
	}
}

// Connections is the number of connections that are open now.
func (p *Proxy) Connections() int { return len(p.open()) }

// Close ends the proxy and all its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	listener := p.listener
	p.closed, p.listener = true, nil
	p.mu.Unlock()
	var err error
	if listener != nil {
		err = listener.Close()
	}
	for _, c := range p.open() {
		c.close()
	}
	p.wait.Wait()
	return err
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		accepted := time.Now()
		p.count(Traffic{Connections: 1})
		p.wait.Go(func() { p.serve(client.(*net.TCPConn), accepted) })
	}
}

// register adds c, unless the proxy was closed in the meantime.
func (p *Proxy) register(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) open() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		open = append(open, c)
	}
	return open
}

func (p *Proxy) settings() (gate <-chan struct{}, delay, idle time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate, p.delay, p.idle
}

func openGate() chan struct{} {
	gate := make(chan struct{})
	close(gate)
	return gate
}
