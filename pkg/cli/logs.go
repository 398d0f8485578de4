package cli

import (
	"flag"
	"io"
	"strconv"

	"k8s.io/klog/v2"
)

// quietLogs keeps the libraries' own log lines off the terminal, where a session is going on, unless
// the user asked for them with -v.
func quietLogs(verbosity int32) {
	settings := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(settings)
	if verbosity > 0 {
		_ = settings.Set("v", strconv.Itoa(int(verbosity)))
		return
	}
	_ = settings.Set("logtostderr", "false")
	_ = settings.Set("stderrthreshold", "FATAL")
	klog.SetOutput(io.Discard)
}
