package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
)

const (
	// knownTime is how long an image is known to have no shell. Its tag may name another one by then.
	knownTime = time.Hour
	// cacheTime is how long the disk with the cache may take to answer.
	cacheTime = time.Second
	// mostRemembered is how many bytes are remembered of anything.
	mostRemembered = 1 << 10
)

// cache remembers what is known of a server, in small files in kubectl's cache folder. What cannot be read or
// written in time is not remembered.
type cache struct {
	folder string // of kubectl's cache; not an absolute path where the user has no home
	server string
}

// path returns the file of a key. Its name does not tell which key that is.
func (c cache) path(kind, key string) string {
	sum := sha256.Sum256([]byte(c.server + "\n" + key))
	return filepath.Join(c.folder, "eshell", kind, hex.EncodeToString(sum[:]))
}

// read returns what is remembered, and how long ago that was written.
func (c cache) read(ctx context.Context, kind, key string) (content string, age time.Duration, known bool) {
	if !filepath.IsAbs(c.folder) {
		return "", 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	file := c.path(kind, key)
	// A link is not followed: what is read here is told to the server, and somebody else who can write to the
	// folder may have made the link.
	info, err := bounded.Call(ctx, func() (os.FileInfo, error) { return os.Lstat(file) })
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostRemembered {
		return "", 0, false
	}
	read, err := bounded.Call(ctx, func() ([]byte, error) { return os.ReadFile(file) })
	return string(read), time.Since(info.ModTime()), err == nil
}

// write remembers content, and forgets what was remembered before.
func (c cache) write(ctx context.Context, kind, key, content string) {
	if !filepath.IsAbs(c.folder) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	_, _ = bounded.Call(ctx, func() (struct{}, error) {
		file := c.path(kind, key)
		err := os.MkdirAll(filepath.Dir(file), 0o750)
		if err != nil {
			return struct{}{}, err
		}
		_ = os.Remove(file) // the time of a new one is now, and it is no link
		created, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return struct{}{}, err
		}
		_, err = created.WriteString(content)
		return struct{}{}, errors.Join(err, created.Close())
	})
}

// shells remembers images without a shell: another session then creates no pod to find that out.
type shells struct{ cache }

// Lacks reports whether an image had no shell when it was last tried, not long ago.
func (s shells) Lacks(ctx context.Context, image string) bool {
	_, age, known := s.read(ctx, "without-shell", image)
	return known && age < knownTime
}

// Remember records that an image has no shell.
func (s shells) Remember(ctx context.Context, image string) {
	s.write(ctx, "without-shell", image, "")
}

// users remembers who the caller is on the server. It is a guess, which the server's answer corrects: the
// same user of a kubeconfig can sign in as somebody else.
type users struct {
	cache
	kubeUser     string // the name in the kubeconfig
	impersonated string // that of --as
}

// Known returns the caller's name, or "" if it is not known.
func (u users) Known(ctx context.Context) string {
	if u.impersonated != "" {
		return u.impersonated
	}
	name, _, _ := u.read(ctx, "user", u.kubeUser)
	return strings.TrimSpace(name)
}

// Remember records the caller's name. That of --as is known anyway.
func (u users) Remember(ctx context.Context, user string) {
	if user != "" && u.impersonated == "" {
		u.write(ctx, "user", u.kubeUser, user)
	}
}
