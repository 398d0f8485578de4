package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain takes away what the developer's own defaults are.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "ESHELL_") {
			_ = os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "eshell-cli-")
	if err == nil {
		err = os.Setenv("XDG_CONFIG_HOME", dir)
	}
	status := 1
	if err == nil {
		status = m.Run()
		err = os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status) //nolint:forbidigo // a test program's own end
}
