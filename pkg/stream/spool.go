package stream

import (
	"bytes"
	"context"
	"io"
	"sync"
)

const (
	// mostSpooled is how many bytes wait for a reader that pauses.
	mostSpooled = 16 << 20
	// spoolPiece is how many of them are written at once.
	spoolPiece = 64 << 10
)

// spool is output that waits for its reader. A stream must go on while a reader pauses: client-go's pings are
// answered on the same connection, and it gives up after 61 s without one; a server closes the stream of a
// command that has ended. What is more than mostSpooled waits in the stream all the same.
type spool struct {
	ctx      context.Context
	to       io.Writer
	finished chan struct{} // closed when nothing more will be written

	mu      sync.Mutex
	held    bytes.Buffer
	changed chan struct{} // closed and replaced when there is more, or room
	over    bool          // nothing more comes
	err     error         // of writing
}

func newSpool(ctx context.Context, to io.Writer) *spool {
	s := &spool{ctx: ctx, to: to, finished: make(chan struct{}), changed: make(chan struct{})}
	go s.run()
	return s
}

// Write holds p until its reader takes it. It waits while there is no room, and no longer than until the
// context ends.
func (s *spool) Write(p []byte) (int, error) {
	for {
		s.mu.Lock()
		err, room, changed := s.err, s.held.Len() < mostSpooled, s.changed
		if err == nil && room {
			s.held.Write(p)
			s.signal()
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case room:
			return len(p), nil
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return 0, context.Cause(s.ctx)
		}
	}
}

// run writes what is held until nothing more comes.
func (s *spool) run() {
	defer close(s.finished)
	for {
		s.mu.Lock()
		piece := bytes.Clone(s.held.Next(spoolPiece))
		over, changed := s.over, s.changed
		if len(piece) > 0 {
			s.signal()
		}
		s.mu.Unlock()
		switch {
		case len(piece) > 0:
			if _, err := s.to.Write(piece); err != nil {
				s.fail(err)
				return
			}
			continue
		case over:
			return
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			s.fail(context.Cause(s.ctx))
			return
		}
	}
}

// end waits until all is written, or the context ends.
func (s *spool) end() {
	s.mu.Lock()
	s.over = true
	s.signal()
	s.mu.Unlock()
	select {
	case <-s.finished:
	case <-s.ctx.Done():
	}
}

func (s *spool) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.signal()
}

// signal is called with mu held.
func (s *spool) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}
