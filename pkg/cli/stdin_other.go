//go:build !unix

package cli

import "os"

// takeStdin returns stdin. Here a console is a handle that cannot be replaced while it is in use.
func takeStdin() (*os.File, error) { return os.Stdin, nil }
