package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// CheckFolder refuses what is no folder: recordings go where they were meant to, or nowhere. A link is none.
// The error names the folder.
func CheckFolder(ctx context.Context, folder string) error {
	if !filepath.IsAbs(folder) {
		return &os.PathError{Op: "record in", Path: folder, Err: errors.New("not an absolute path")}
	}
	info, err := call(ctx, folder, func() (os.FileInfo, error) { return os.Lstat(filepath.Clean(folder)) })
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return &os.PathError{Op: "record in", Path: folder, Err: errors.New("not a folder")}
	}
	return nil
}

// longest is how much of a part a name has, in bytes: a file's name has 255 at most.
const longest = 48

var unsafeText = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// Name returns a name for a recording that every file system takes: the time, in UTC and as it sorts, and the
// parts that are not empty.
func Name(begun time.Time, parts ...string) string {
	name := begun.UTC().Format("20060102T150405Z")
	for _, part := range parts {
		part = strings.Trim(unsafeText.ReplaceAllString(part, "-"), "-.")
		if part = part[:min(len(part), longest)]; part != "" {
			name += "_" + part
		}
	}
	return name + ".cast"
}
