package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"
)

// knownTime is how long an image is known to have no shell. Its tag may name another one by then.
const knownTime = time.Hour

// shells remembers images without a shell in kubectl's cache folder, as empty files: another session then
// creates no pod to find that out. What cannot be read or written is not remembered.
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
func (s shells) Lacks(image string) bool {
	info, err := os.Stat(s.path(image))
	return filepath.IsAbs(s.folder) && err == nil && time.Since(info.ModTime()) < knownTime
}

// Remember records that an image has no shell.
func (s shells) Remember(image string) {
	file := s.path(image)
	if !filepath.IsAbs(s.folder) { // kubectl's default where the user has no home
		return
	}
	if os.MkdirAll(filepath.Dir(file), 0o750) == nil {
		_ = os.Remove(file) // the time of a new one is now
		_ = os.WriteFile(file, nil, 0o600)
	}
}
