package cli

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// tellTime is how long a line may take to be written before nobody waits for it any more.
	tellTime = 250 * time.Millisecond
	// lastTime is how long the last lines may take, when all else is done.
	lastTime = 5 * time.Second
	// mostUntold is how many bytes may be untold; what is said after that is lost.
	mostUntold = 1 << 20
)

// narration is stderr for what eshell itself says. It is written in order, and a reader that does not read
// (a full pipe, a pager) delays neither a clean-up nor a renewal.
type narration struct {
	io.Writer

	mu      sync.Mutex
	untold  bytes.Buffer
	telling chan struct{} // closed when all is told; nil: all is
	stuck   bool          // nobody seems to read
}

// narrate returns w's narration: w itself if it is one.
func narrate(w io.Writer) *narration {
	if n, is := w.(*narration); is {
		return n
	}
	return &narration{Writer: w}
}

// Write tells p. It never fails: there is nobody to be told of that.
func (n *narration) Write(p []byte) (int, error) {
	n.mu.Lock()
	if n.untold.Len() < mostUntold {
		n.untold.Write(p)
	}
	if n.telling == nil {
		n.telling = make(chan struct{})
		go n.tell(n.telling)
	}
	stuck := n.stuck
	n.mu.Unlock()
	if !stuck && !n.wait(tellTime) {
		n.mu.Lock()
		n.stuck = n.telling != nil
		n.mu.Unlock()
	}
	return len(p), nil
}

// tell writes what is untold until nothing is.
func (n *narration) tell(done chan struct{}) {
	defer close(done)
	for {
		n.mu.Lock()
		text := bytes.Clone(n.untold.Bytes())
		n.untold.Reset()
		if len(text) == 0 {
			n.telling, n.stuck = nil, false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		_, _ = n.Writer.Write(text)
	}
}

// wait reports whether all is told within a time.
func (n *narration) wait(within time.Duration) bool {
	n.mu.Lock()
	telling := n.telling
	n.mu.Unlock()
	if telling == nil {
		return true
	}
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-telling:
		return true
	case <-late.C:
		return false
	}
}
