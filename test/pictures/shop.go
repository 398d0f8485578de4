//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

const (
	namespace = "shop"
	volume    = "eshell-pictures-uploads"
	// setUpTime is for what kubectl waits for: an application that starts, a namespace that goes.
	setUpTime = 2 * time.Minute
)

// shop is an application on the embedded cluster, and what a person at a terminal has to use it.
type shop struct {
	dir string // a home of its own
	env []string
}

// openShop starts the application of shop.yaml in a namespace that is not there yet.
func openShop(ctx context.Context) (s *shop, err error) {
	s = &shop{}
	if s.dir, err = os.MkdirTemp("", "pictures"); err != nil {
		return nil, err
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return nil, err
	}
	cluster, kubeconfig := embedded.Default(), filepath.Join(s.dir, "kubeconfig")
	s.env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + s.dir, "TERM=xterm-256color", "LANG=C.UTF-8",
		"SHELL=/bin/sh", "PATH=" + strings.Join([]string{bin, cluster.BinDir(), os.Getenv("PATH")}, ":"),
		"PS1=" + prompt}
	admin, err := s.kubectl(ctx, "config", "view", "--kubeconfig", cluster.Kubeconfig(), "--raw", "--minify",
		"--flatten")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := os.WriteFile(kubeconfig, []byte(admin), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if _, err := s.kubectl(ctx, "create", "namespace", namespace); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir)) // it is somebody's
	}
	if err := s.deploy(ctx); err != nil {
		return nil, errors.Join(err, s.close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *shop) deploy(ctx context.Context) error {
	for _, words := range [][]string{
		{"config", "set-context", "--current", "--namespace", namespace},
		{"apply", "-f", "test/pictures/shop.yaml"},
		{"rollout", "status", "--timeout", "90s", "deployment/api", "deployment/mailer", "statefulset/web"},
	} {
		if _, err := s.kubectl(ctx, words...); err != nil {
			return err
		}
	}
	return nil
}

// close removes the application, and the home with the kubeconfig.
func (s *shop) close(ctx context.Context) error {
	_, uploads := s.kubectl(ctx, "exec", "deployment/api", "-c", "app", "--", "rm", "-r", "/uploads/invoices")
	_, removed := s.kubectl(ctx, "delete", "--ignore-not-found", "namespace/"+namespace,
		"persistentvolume/"+volume)
	return errors.Join(uploads, removed, os.RemoveAll(s.dir))
}

// sessionsGone waits until no session has a pod any more.
func (s *shop) sessionsGone(ctx context.Context) error {
	_, err := s.kubectl(ctx, "wait", "pods", "--for", "delete", "--timeout", "1m",
		"-l", "app.kubernetes.io/managed-by=kubectl-eshell")
	return err
}

// kubectl returns what kubectl prints.
func (s *shop) kubectl(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, embedded.Default().Kubectl(), words...)
	cmd.Env = s.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(words, " "), err,
			bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
