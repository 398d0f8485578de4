package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/defaults"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// configFlag names the file of defaults, which therefore cannot name another.
const configFlag = "config"

// configPath returns the path of the config file, and what names it: "" if it is the default one, which need
// not exist.
func (f *flags) configPath() (path, namedBy string) {
	variable := defaults.Variable(configFlag)
	switch {
	case f.set.Changed(configFlag):
		return f.configFile, "--" + configFlag
	case os.Getenv(variable) != "":
		return os.Getenv(variable), variable
	}
	return filepath.Join(configHome(), "kubectl-eshell", "config.yaml"), ""
}

// configHome returns the folder of the user's config files: $XDG_CONFIG_HOME, by default ~/.config, also on
// macOS, or %AppData% on Windows. https://specifications.freedesktop.org/basedir-spec/latest/
func configHome() string {
	if home := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(home) {
		return home
	}
	if runtime.GOOS == "windows" {
		home, _ := os.UserConfigDir()
		return home
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".config")
}

// readConfig reads the config file, until ctx ends: it might be a pipe, or on a disk that does not answer.
func (f *flags) readConfig(ctx context.Context, known defaults.Flags) (*defaults.File, error) {
	path, namedBy := f.configPath()
	if namedBy == "" && !filepath.IsAbs(path) { // there is no home, and the current folder is anybody's
		return defaults.Parse(path, nil, known)
	}
	text, err := bounded.Call(ctx, func() ([]byte, error) { return readConfigFile(path) })
	none := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && namedBy == "" && none:
		return defaults.Parse(path, nil, known)
	case err != nil && namedBy != "":
		return nil, fmt.Errorf("%s: %w", namedBy, err)
	case err != nil:
		return nil, fmt.Errorf("config file: %w", err)
	}
	return defaults.Parse(path, text, known)
}

// maxConfig is the size of the longest config file that is read, in bytes.
const maxConfig = 1 << 20

// readConfigFile refuses a file that every user of the machine can write: what is in it runs with this user's
// rights in the cluster.
func readConfigFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	const others = 0o002
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&others != 0 {
		return nil, hint.Wrap(fmt.Errorf("%s can be written by every user of this machine", path),
			hint.Command("chmod o-w %s", path))
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxConfig)
	}
	return text, err
}
