package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// sourcePackage is what "go list -json" says of a package.
type sourcePackage struct {
	ImportPath, Dir string
	GoFiles         []string
	Stale           bool // not in Go's cache
}

func parsePackages(list []byte) ([]sourcePackage, error) {
	var packages []sourcePackage
	for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
		var p sourcePackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("the answer of go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// size is that of the sources, to which the time of the compiler is roughly proportional.
func (p sourcePackage) size() int64 {
	var size int64
	for _, name := range p.GoFiles {
		if info, err := os.Stat(filepath.Join(p.Dir, name)); err == nil {
			size += info.Size()
		}
	}
	return size
}

// meter tells how far a long build is: a terminal sees one line that changes, a log gets
// a line now and then, so that nobody takes silence for a hang.
type meter struct {
	w        io.Writer
	terminal bool
	began    time.Time

	mu          sync.Mutex
	folders     map[toolPackage]string // the same in two toolsets that use the same version
	todo        map[string]int64       // the sizes of those that aren't compiled yet, by folder
	done, total progress
}

type toolPackage struct{ tools, pkg string }

// progress is a number of packages, and the size of those that had to be compiled.
type progress struct {
	packages int
	size     int64
}

func newMeter(w io.Writer) *meter {
	m := &meter{w: w, folders: map[toolPackage]string{}, todo: map[string]int64{}}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		m.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return m
}

// add counts the packages of a toolset.
func (m *meter) add(tools string, packages []sourcePackage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range packages {
		m.folders[toolPackage{tools, p.ImportPath}] = p.Dir
		if _, known := m.todo[p.Dir]; known || !p.Stale {
			continue
		}
		m.todo[p.Dir] = p.size()
		m.total.packages++
		m.total.size += m.todo[p.Dir]
	}
}

// begin starts the clock.
func (m *meter) begin() { m.began = time.Now() }

// built takes the name of a package that the compiler has begun with, and says whether it is one.
func (m *meter) built(tools, pkg string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder, known := m.folders[toolPackage{tools, pkg}]
	if size, open := m.todo[folder]; open {
		delete(m.todo, folder)
		m.done.packages++
		m.done.size += size
	}
	return known
}

// during runs step and shows what it is while it lasts.
func (m *meter) during(what string, step func() error) error {
	interval := time.Minute
	if m.terminal {
		interval = time.Second
	}
	done := make(chan error, 1)
	go func() { done <- step() }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		m.show(what)
		select {
		case err := <-done:
			if m.terminal {
				fmt.Fprint(m.w, "\r\x1b[K")
			}
			return err
		case <-ticker.C:
		}
	}
}

func (m *meter) show(what string) {
	format := "%s%s\n"
	if m.terminal {
		format = "\r\x1b[K%s%s"
	}
	fmt.Fprintf(m.w, format, what, m.progress(time.Since(m.began)))
}

// progress is how far it is after that time, in words.
func (m *meter) progress(elapsed time.Duration) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() || m.total.packages == 0 {
		return ""
	}
	if m.done.packages == m.total.packages {
		return ": all packages are compiled, linking"
	}
	text := fmt.Sprintf(": %d of %d packages", m.done.packages, m.total.packages)
	if elapsed < firstEstimate || m.done.size == 0 {
		return text
	}
	left := time.Duration(float64(elapsed) * float64(m.total.size-m.done.size) / float64(m.done.size))
	if left < time.Minute {
		return text + ", less than a minute left"
	}
	return fmt.Sprintf("%s, about %.0f min left", text, left.Minutes())
}

// firstEstimate is after how long it is worth something.
const firstEstimate = 20 * time.Second
