//go:build !linux

package embedded

import (
	"context"
	"io"
)

// Up needs Linux.
func (c *Cluster) Up(context.Context, io.Writer) error { return ErrUnsupported }

// Down needs Linux.
func (c *Cluster) Down(context.Context, io.Writer) error { return ErrUnsupported }

// Build needs Linux.
func (c *Cluster) Build(context.Context, io.Writer) error { return ErrUnsupported }

// ImageArchive needs Linux.
func (c *Cluster) ImageArchive(context.Context, io.Writer) (string, error) {
	return "", ErrUnsupported
}

// Serve needs Linux.
func Serve(string) error { return ErrUnsupported }
