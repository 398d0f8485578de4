package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkSize = 32 << 10
	// queueLength bounds what one direction may hold back: 32 MiB, so a delay of a
	// second still lets 256 Mbit/s through.
	queueLength = 1024
)

// conn is one proxied connection: the client's half and the target's half.
type conn struct {
	proxy  *Proxy
	client *net.TCPConn
	done   chan struct{}

	mu     sync.Mutex
	server *net.TCPConn // nil until the target is connected
	timer  *time.Timer  // fires when the connection was idle for too long
	ended  bool
}

// chunk is a piece of the stream and the time before which it must not arrive.
type chunk struct {
	data   []byte
	due    time.Time
	broken bool // the stream ended here by a reset, not by its end
}

func (p *Proxy) serve(client *net.TCPConn, accepted time.Time) {
	c := &conn{proxy: p, client: client, done: make(chan struct{})}
	defer c.close()
	if !p.register(c) {
		return
	}
	defer p.forget(c)
	if !c.pass() || !c.dial() || !c.sleep(accepted.Add(p.handshakeTime())) {
		return
	}
	c.touch()
	var both sync.WaitGroup
	both.Go(func() { c.pump(c.server, c.client) })
	both.Go(func() { c.pump(c.client, c.server) })
	both.Wait()
}

// dial connects to the target; a target that refuses is a reset to the client.
func (c *conn) dial() bool {
	server, err := net.Dial("tcp", c.proxy.target)
	if err != nil {
		c.reset()
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		_ = server.Close()
		return false
	}
	c.server = server.(*net.TCPConn)
	return true
}

// pump moves one direction: the reader stamps what arrives, the writer lets it go when due.
// They are two goroutines so that many chunks can be under way at once.
func (c *conn) pump(to, from *net.TCPConn) {
	queue := make(chan chunk, queueLength)
	go c.read(from, queue)
	for piece := range queue {
		if !c.sleep(piece.due) || !c.pass() {
			return
		}
		n, err := to.Write(piece.data)
		c.count(to, n)
		if err != nil {
			c.close()
			return
		}
		if piece.broken {
			c.reset()
			return
		}
	}
	if c.pass() {
		_ = to.CloseWrite()
	}
}

// count adds n bytes that were passed on to one side.
func (c *conn) count(to *net.TCPConn, n int) {
	if to == c.client {
		c.proxy.count(Traffic{ToClient: int64(n)})
	} else {
		c.proxy.count(Traffic{ToServer: int64(n)})
	}
}

func (c *conn) read(from *net.TCPConn, queue chan<- chunk) {
	defer close(queue)
	for {
		buffer := make([]byte, chunkSize)
		n, err := from.Read(buffer)
		_, delay, _ := c.proxy.settings()
		piece := chunk{data: buffer[:n], due: time.Now().Add(delay),
			broken: err != nil && !errors.Is(err, io.EOF)}
		c.touch()
		select {
		case queue <- piece: // after the last byte an empty piece: the end is delayed like the rest
		case <-c.done:
			return
		}
		if err != nil || !c.sleep(time.Now().Add(c.proxy.pause(n))) {
			return
		}
	}
}

// sleep waits until due; false means that the connection has ended.
func (c *conn) sleep(due time.Time) bool {
	left := time.Until(due)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.done:
		return false
	}
}

// pass waits until the proxy isn't stalled; false means that the connection has ended.
func (c *conn) pass() bool {
	gate, _, _ := c.proxy.settings()
	select {
	case <-c.done:
		return false
	case <-gate:
		return true
	}
}

// touch restarts the idle clock.
func (c *conn) touch() {
	_, _, idle := c.proxy.settings()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if idle > 0 && !c.ended {
		c.timer = time.AfterFunc(idle, c.close)
	}
}

// reset ends both halves with an RST instead of a FIN.
func (c *conn) reset() {
	c.mu.Lock()
	_ = c.client.SetLinger(0)
	if c.server != nil {
		_ = c.server.SetLinger(0)
	}
	c.mu.Unlock()
	c.close()
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	close(c.done)
	if c.timer != nil {
		c.timer.Stop()
	}
	_ = c.client.Close()
	if c.server != nil {
		_ = c.server.Close()
	}
}
