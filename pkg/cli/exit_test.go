package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

const checkCluster = "hint: check whether the cluster answers: kubectl cluster-info\n"

func failedWith(err error) error {
	return fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://a:6443/api/v1/pods", Err: err})
}

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		told   string
	}{
		{"plain", errors.New("no luck"), 125, "error: no luck\n"},
		{"with a hint", hint.Wrap(fmt.Errorf("no luck"), "try again"), 125,
			"error: no luck\nhint: try again\n"},
		{"with a hint inside", fmt.Errorf("open: %w", hint.Wrap(fmt.Errorf("no luck"), "try again")), 125,
			"error: open: no luck\nhint: try again\n"},
		{"from the cluster", hint.Wrap(fmt.Errorf("\x1b[2Jno\r luck\u202e"), "\x1b]0;a\atry"), 125,
			"error: [2Jno luck\nhint: ]0;atry\n"},

		{"without an answer", fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://a", Err: io.EOF}),
			125, "error: list: the cluster at https://a cannot be reached: EOF\n" + checkCluster},
		{"without an answer, with a hint",
			hint.Wrap(fmt.Errorf("list: %w", &url.Error{Op: "Get", URL: "https://a/api?x=1", Err: io.EOF}),
				"try again"), 125,
			"error: list: the cluster at https://a cannot be reached: EOF\nhint: try again\n"},
		{"refused", failedWith(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), 125,
			"error: list: the cluster at https://a:6443 refuses connections: dial: connection refused\n" +
				checkCluster},
		{"no such host", failedWith(&net.DNSError{Err: "no such host", Name: "a"}), 125,
			"error: list: the cluster at https://a:6443 has a name that cannot be resolved: lookup a: no such host\n" +
				"hint: check your network or VPN, and the server: kubectl config view --minify\n"},
		{"too late", failedWith(context.DeadlineExceeded), 125,
			"error: list: the cluster at https://a:6443 did not answer in time: context deadline exceeded\n" +
				"hint: check whether the cluster answers: kubectl cluster-info; check your network or VPN\n"},
		{"expired", failedWith(x509.CertificateInvalidError{Reason: x509.Expired, Detail: "then"}), 125,
			"error: list: the cluster at https://a:6443 has a certificate that has expired, or is not valid yet: " +
				"x509: certificate has expired or is not yet valid: then\n" +
				"hint: check the time here, and ask who runs the cluster for a new certificate\n"},
		{"not trusted", failedWith(x509.UnknownAuthorityError{}), 125,
			"error: list: the cluster at https://a:6443 has a certificate that the kubeconfig does not trust: " +
				"x509: certificate signed by unknown authority\n" +
				"hint: check the cluster's certificate-authority: kubectl config view --minify\n"},
		{"redirected", failedWith(fmt.Errorf("the server redirects to https://b, and %w", stream.ErrRedirected)),
			125, "error: list: the server redirects to https://b, and " + stream.ErrRedirected.Error() +
				"\nhint: see which server the kubeconfig has: kubectl config view --minify\n"},
		{"unknown here", apierrors.NewUnauthorized("who?"), 125, "error: who?\n" +
			"hint: the server does not accept your credentials, which may have expired: log in again; see which are used: kubectl config view --minify\n"},

		{"INT", Signal{syscall.SIGINT}, 130, "error: ended by a signal: interrupt\n"},
		{"TERM", Signal{syscall.SIGTERM}, 143, "error: ended by a signal: terminated\n"},
		{"HUP, wrapped", fmt.Errorf("wait: %w", Signal{syscall.SIGHUP}), 129,
			"error: wait: ended by a signal: hangup\n"},
		{"a signal beside an error", errors.Join(io.ErrUnexpectedEOF, Signal{syscall.SIGINT}), 130,
			"error: unexpected EOF\n  ended by a signal: interrupt\n"},

		{"the reader has gone", &stream.OutputError{Err: syscall.EPIPE}, 141, ""},
		{"the reader has gone, wrapped",
			fmt.Errorf("run: %w", &stream.OutputError{Err: fmt.Errorf("write |1: %w", syscall.EPIPE)}), 141,
			""},
		{"the disk is full", &stream.OutputError{Err: syscall.ENOSPC}, 125,
			"error: write the output: " + syscall.ENOSPC.Error() + "\n"},
		{"another pipe", fmt.Errorf("connect: %w", syscall.EPIPE), 125,
			"error: connect: " + syscall.EPIPE.Error() + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told strings.Builder
			status := report(&told, tt.err, "")
			if status != tt.status || told.String() != tt.told {
				t.Errorf("status %d, told %q; want %d, %q", status, told.String(), tt.status, tt.told)
			}
		})
	}
}

// TestIsGone: on Windows a reader that has gone has errors of its own, which mean something else elsewhere.
func TestIsGone(t *testing.T) {
	for _, tt := range []struct {
		err             error
		unix, onWindows bool
	}{
		{fmt.Errorf("write: %w", syscall.EPIPE), true, true},
		{fmt.Errorf("write: %w", syscall.Errno(109)), false, true},
		{syscall.Errno(232), false, true},
		{syscall.ENOSPC, false, false},
	} {
		if unix, windows := isGone(tt.err, "linux"), isGone(tt.err, "windows"); unix != tt.unix ||
			windows != tt.onWindows {
			t.Errorf("%v: %t, %t on Windows; want %t, %t", tt.err, unix, windows, tt.unix, tt.onWindows)
		}
	}
}

// TestInContext: a hint means the cluster that was named, whatever the context is called.
func TestInContext(t *testing.T) {
	const next = "list them: kubectl get pods -n shop; open one: kubectl eshell pod/NAME"
	for kubeContext, want := range map[string]string{
		"":     next,
		"prod": "list them: kubectl --context prod get pods -n shop; open one: kubectl eshell --context prod pod/NAME",
		"a b":  "list them: kubectl --context 'a b' get pods -n shop; open one: kubectl eshell --context 'a b' pod/NAME",
	} {
		if got := inContext(next, kubeContext); got != want {
			t.Errorf("%q: %s, want %s", kubeContext, got, want)
		}
	}
}
