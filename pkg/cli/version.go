package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
)

// The versions of Kubernetes that eshell is tested with, by minor: docs/compatibility.md.
const (
	oldestTested = 33
	newestTested = 37
)

// serverVersionTime limits the one request of the command version.
const serverVersionTime = 10 * time.Second

// versions is what the command version prints, with kubectl's names.
type versions struct {
	ClientVersion clientVersion `json:"clientVersion"`
	ServerVersion *version.Info `json:"serverVersion,omitempty"`
	Tested        *bool         `json:"tested,omitempty"` // of the server's minor version
}

type clientVersion struct {
	GitVersion string `json:"gitVersion"`
}

// identify returns what names eshell and its version to the server, whose audit log has it with each request.
// client-go would name the version of the Kubernetes libraries, which a plugin does not know.
func identify(version string) func(*rest.Config) *rest.Config {
	return func(c *rest.Config) *rest.Config {
		c.UserAgent = fmt.Sprintf("kubectl-eshell/%s (%s/%s)", version, runtime.GOOS, runtime.GOARCH)
		return c
	}
}

func newVersion(c *sessionCommand, client string) *cobra.Command {
	var clientOnly bool
	var output string
	command := &cobra.Command{
		Use:   "version [flags]",
		Short: "Print the version of eshell and of the server",
		Long: `Print the version of eshell and of the server.

It says whether eshell is tested with the server's version of Kubernetes.`,
		Example: `  # Of both
  kubectl eshell version

  # Of eshell, without a cluster
  kubectl eshell version --client`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("output", output, "", "json", "yaml"); err != nil {
				return err
			}
			found := versions{ClientVersion: clientVersion{client}}
			if clientOnly {
				return found.print(c.streams.Out, output)
			}
			return c.run(cmd.Context(), func(ctx context.Context) error {
				err := found.askServer(ctx, c)
				return cmp.Or(err, found.print(c.stdout, output))
			})
		},
	}
	command.Flags().BoolVar(&clientOnly, "client", false, "ask no server")
	command.Flags().StringVarP(&output, "output", "o", "", "print as `FORMAT`: json or yaml")
	return command
}

// askServer adds the server's version.
func (v *versions) askServer(ctx context.Context, c *sessionCommand) error {
	ctx, cancel := context.WithTimeoutCause(ctx, serverVersionTime,
		fmt.Errorf("the server did not answer within %s", serverVersionTime))
	defer cancel()
	answer, err := c.cluster.Client.Discovery().RESTClient().Get().AbsPath("/version").
		SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return err
	}
	var server version.Info
	if err := json.Unmarshal(answer, &server); err != nil {
		return fmt.Errorf("the server's version: %w", err)
	}
	tested := isTested(server)
	v.ServerVersion, v.Tested = &server, &tested
	return nil
}

var leadingNumber = regexp.MustCompile(`^[0-9]+`)

// isTested reports whether eshell is tested with a server's version. Some providers write a minor version as
// 37+.
func isTested(server version.Info) bool {
	minor, err := strconv.Atoi(leadingNumber.FindString(server.Minor))
	return err == nil && server.Major == "1" && minor >= oldestTested && minor <= newestTested
}

func (v *versions) print(out io.Writer, format string) error {
	if format == "" {
		_, err := io.WriteString(out, v.String())
		return written(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return printJSON(text, format, out)
}

// String returns a line for each version.
func (v *versions) String() string {
	lines := "Client Version: " + v.ClientVersion.GitVersion + "\n"
	if v.ServerVersion == nil {
		return lines
	}
	tested := "eshell is tested with it"
	if !*v.Tested {
		tested = fmt.Sprintf("eshell is tested with 1.%d to 1.%d", oldestTested, newestTested)
	}
	return lines + plain("Server Version: "+v.ServerVersion.GitVersion) + " (" + tested + ")\n"
}
