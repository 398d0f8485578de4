// Package record writes what a session shows to files that asciinema plays: asciicasts of version 3 or 2
// (https://docs.asciinema.org/manual/asciicast/v3). It knows nothing about what runs in the session.
package record

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
)

// Options are what is recorded, and where.
type Options struct {
	Format Format
	Input  bool   // what is typed is recorded too
	Header Header // until Describe is called
	// Paths are of the files, which are created. A file that exists is not overwritten, and a link is not
	// followed.
	Paths []string
	// Failed is called once when the session can no longer be recorded, before the error is returned to
	// anybody else.
	Failed func(error)
}

// patience is how long the disk may take for each request: what waits for it is a session.
const patience = 10 * time.Second

// Recording writes one session to its files. Nothing is recorded by a nil Recording. Its methods can be
// called at the same time.
type Recording struct {
	Options
	ctx context.Context // of the disk: it does not end with the session

	mu            sync.Mutex
	files         []*file
	begun         time.Time
	columns, rows int       // of the terminal
	streams       []*stream // with what they have not recorded yet
	used          bool      // something was shown or typed
	kept          bool      // even if not
	over          bool
	err           error // why nothing more is recorded
}

// New creates the files of a recording, and writes the header. After an error, which names the file, there
// are none.
func New(ctx context.Context, o Options) (*Recording, error) {
	r := &Recording{Options: o, ctx: context.WithoutCancel(ctx)}
	for _, path := range o.Paths {
		f, err := call(r.ctx, path, func() (*file, error) { return create(path, o.Format) })
		if err != nil {
			r.Discard()
			return nil, err
		}
		r.files = append(r.files, f)
	}
	if err := r.Describe(o.Header); err != nil {
		r.Discard()
		return nil, err
	}
	return r, nil
}

// call waits for the disk, but not for ever. It waits half of the time twice: when a process goes on that was
// stopped, or whose computer slept, the one half is over at once, and the disk can answer in the other.
func call[T any](ctx context.Context, path string, do func() (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	half := time.AfterFunc(patience/2, func() {
		time.AfterFunc(patience/2, func() {
			cancel(&os.PathError{Op: "wait for", Path: path,
				Err: fmt.Errorf("the disk has not answered within %s", patience)})
		})
	})
	defer half.Stop()
	return bounded.Call(ctx, do)
}

// Describe replaces the header, unless something was recorded after it.
func (r *Recording) Describe(h Header) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used {
		return nil
	}
	r.begun, r.columns, r.rows = time.Now(), h.columns(), h.rows()
	return r.each(func(f *file) error { return f.begin(h, r.begun) })
}

// Resize records the size of the terminal, if it is not the one that was recorded last.
func (r *Recording) Resize(columns, rows int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if columns == r.columns && rows == r.rows {
		return
	}
	r.columns, r.rows = columns, rows
	_ = r.event(resize, fmt.Sprintf("%dx%d", columns, rows)) // Failed is told
}

// Writer returns a writer to w that records first what is written to it. What cannot be recorded is not
// written.
func (r *Recording) Writer(w io.Writer) io.Writer {
	if r == nil {
		return w
	}
	return writer{r.stream(output), w}
}

// Reader returns a reader from in that records what is read from it, if that is asked for.
func (r *Recording) Reader(in io.Reader) io.Reader {
	if r == nil || !r.Input || in == nil {
		return in
	}
	return reader{r.stream(input), in}
}

func (r *Recording) stream(c code) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &stream{Recording: r, code: c}
	r.streams = append(r.streams, s)
	return s
}

// Add records what the terminal was sent beside what a Writer has had.
func (r *Recording) Add(shown string) {
	if r != nil && shown != "" {
		_ = r.stream(output).record([]byte(shown)) // Failed is told
	}
}

// Keep has the recording kept even if nothing is shown: the session has begun.
func (r *Recording) Keep() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = true
}

// IsKept reports whether the session has begun: it is to be kept, or something was shown or typed.
func (r *Recording) IsKept() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept || r.used
}

// Close records the exit status of the session, and ends the recording. It returns why the recording is
// incomplete, if it is.
func (r *Recording) Close(status int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.streams {
		_ = s.flush()
	}
	if r.Format == V2 {
		_ = r.event(marker, "exit status "+strconv.Itoa(status))
	} else {
		_ = r.event(exit, strconv.Itoa(status))
	}
	_ = r.each(func(f *file) error { return f.Close() })
	r.over = true
	return r.err
}

// Discard ends the recording and removes its files.
func (r *Recording) Discard() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for _, f := range r.files {
		_, _ = call(r.ctx, f.path, func() (struct{}, error) { return struct{}{}, f.remove() })
	}
}

// event is called with mu held.
func (r *Recording) event(c code, data string) error {
	at := time.Since(r.begun)
	return r.each(func(f *file) error { return f.add(at, c, data) })
}

// each is called with mu held. The first error is the last: a recording has no gaps.
func (r *Recording) each(do func(*file) error) error {
	switch {
	case r.err != nil:
		return r.err
	case r.over:
		return io.ErrClosedPipe
	}
	for _, f := range r.files {
		if _, err := call(r.ctx, f.path, func() (struct{}, error) { return struct{}{}, do(f) }); err != nil {
			r.err = fmt.Errorf("the session can no longer be recorded: %w", err)
			r.Failed(r.err)
			return r.err
		}
	}
	return nil
}
