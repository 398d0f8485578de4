package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
)

const (
	// knownTime is how long an image is known to have no shell. Its tag may name another one by then.
	knownTime = time.Hour
	// cacheTime is how long the disk with the cache may take to answer.
	cacheTime = time.Second
)

// shells remembers images without a shell in kubectl's cache folder, as empty files: another session then
// creates no pod to find that out. What cannot be read or written in time is not remembered.
type shells struct {
	folder string // of kubectl's cache
	server string
}

// path returns the file of an image. Its name does not tell which image that is.
func (s shells) path(image string) string {
	sum := sha256.Sum256([]byte(s.server + "\n" + image))
	return filepath.Join(s.folder, "eshell", "without-shell", hex.EncodeToString(sum[:]))
}

// Lacks reports whether an image had no shell when it was last tried, not long ago.
func (s shells) Lacks(ctx context.Context, image string) bool {
	if !filepath.IsAbs(s.folder) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	info, err := bounded.Call(ctx, func() (os.FileInfo, error) { return os.Stat(s.path(image)) })
	return err == nil && time.Since(info.ModTime()) < knownTime
}

// Remember records that an image has no shell.
func (s shells) Remember(ctx context.Context, image string) {
	if !filepath.IsAbs(s.folder) { // kubectl's default where the user has no home
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	_, _ = bounded.Call(ctx, func() (struct{}, error) {
		file := s.path(image)
		err := os.MkdirAll(filepath.Dir(file), 0o750)
		if err == nil {
			_ = os.Remove(file) // the time of a new one is now
			err = os.WriteFile(file, nil, 0o600)
		}
		return struct{}{}, err
	})
}
