package stream

import (
	"context"
	"io"
	"sync"
)

const (
	// mostSpooled is how many bytes wait for a reader that pauses.
	mostSpooled = 16 << 20
	// spoolPiece is how much room there is at least in a piece of them, so that short writes share one.
	spoolPiece = 4 << 10
)

// spool is output that waits for its reader. A stream must go on while a reader pauses: client-go's pings are
// answered on the same connection, and it gives up after 61 s without one; a server closes the stream of a
// command that has ended. What is more than mostSpooled waits in the stream all the same.
type spool struct {
	to       io.Writer
	failed   func(error)   // called when to cannot be written to
	finished chan struct{} // closed when nothing more will be written

	mu      sync.Mutex
	held    [][]byte      // in pieces: a single buffer would have to be copied, to twice its size, to grow
	size    int           // of held, in bytes
	changed chan struct{} // closed and replaced when there is more, or room
	over    bool          // nothing more comes
	err     error         // of writing
}

func newSpool(to io.Writer, failed func(error)) *spool {
	s := &spool{to: to, failed: failed, finished: make(chan struct{}), changed: make(chan struct{})}
	go s.run()
	return s
}

// spoolWriter is a spool as a stream sees it. A write waits while there is no room, and no longer than until
// ctx ends.
type spoolWriter struct {
	ctx context.Context
	*spool
}

// Write holds p until its reader takes it.
func (w spoolWriter) Write(p []byte) (int, error) {
	for {
		room, changed, err := w.hold(p)
		switch {
		case err != nil:
			return 0, err
		case room:
			return len(p), nil
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			return 0, context.Cause(w.ctx)
		}
	}
}

// hold holds p if there is room.
func (s *spool) hold(p []byte) (room bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return false, nil, s.err
	case s.over:
		return false, nil, io.ErrClosedPipe
	case s.size >= mostSpooled:
		return false, s.changed, nil
	}
	s.add(p)
	s.signal()
	return true, nil, nil
}

// add adds a copy of p to what is held.
func (s *spool) add(p []byte) {
	s.size += len(p)
	if last := len(s.held) - 1; last >= 0 && len(s.held[last])+len(p) <= cap(s.held[last]) {
		s.held[last] = append(s.held[last], p...)
		return
	}
	s.held = append(s.held, append(make([]byte, 0, max(len(p), spoolPiece)), p...))
}

// next takes the first piece of what is held, if there is one.
func (s *spool) next() []byte {
	if len(s.held) == 0 {
		return nil
	}
	piece := s.held[0]
	s.held[0] = nil
	s.held = s.held[1:]
	s.size -= len(piece)
	s.signal()
	return piece
}

// run writes what is held until nothing more comes.
func (s *spool) run() {
	defer close(s.finished)
	for {
		s.mu.Lock()
		piece := s.next()
		over, changed := s.over, s.changed
		s.mu.Unlock()
		switch {
		case len(piece) > 0:
			if _, err := s.to.Write(piece); err != nil {
				s.fail(err)
				return
			}
		case over:
			return
		default:
			<-changed
		}
	}
}

// end waits until all is written, or ctx ends. Nothing more is taken.
func (s *spool) end(ctx context.Context) error {
	s.mu.Lock()
	if !s.over {
		s.over = true
		s.signal()
	}
	s.mu.Unlock()
	select {
	case <-s.finished:
	case <-ctx.Done():
		if !s.isFinished() {
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *spool) isFinished() bool {
	select {
	case <-s.finished:
		return true
	default:
		return false
	}
}

func (s *spool) fail(err error) {
	s.mu.Lock()
	s.err = &OutputError{err}
	s.signal()
	s.mu.Unlock()
	s.failed(s.err)
}

// signal is called with mu held.
func (s *spool) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}
