package cli

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxManifest is the longest manifest that is read, in bytes: a chart's with room to spare, and not
// a disk's by mistake.
const maxManifest = 16 << 20

// readManifest returns what is in the file, or in stdin for "-"; nil where no file was named. What
// is in it is package workload's business.
func readManifest(filename string, stdin io.Reader) ([]byte, error) {
	switch filename {
	case "":
		return nil, nil
	case "-":
		return readAll("stdin", stdin)
	}
	file, err := os.Open(filename)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	defer file.Close()
	return readAll(filename, file)
}

func readAll(name string, in io.Reader) ([]byte, error) {
	manifest, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("manifest %s: %w", name, err)
	case len(manifest) == 0:
		return nil, fmt.Errorf("manifest %s is empty", name)
	case len(manifest) > maxManifest:
		return nil, fmt.Errorf("manifest %s is longer than %s", name,
			resource.NewQuantity(maxManifest, resource.BinarySI))
	}
	return manifest, nil
}
