package cli

import (
	"strings"
	"testing"
)

// FuzzOptions: whatever is typed, words separated by NUL, it is taken or refused, and the value of a variable
// is in no error.
func FuzzOptions(f *testing.F) {
	for _, seed := range []string{
		"", "deploy/api", "deploy\x00api", "pod/x\x00--mode\x00debug\x00-c\x00app", "-f\x00-", "deploy/api\x00--\x00sh\x00-c\x00exit 3",
		"deploy/api\x00-e\x00A=1\x00-e\x00B-\x00-e\x00=", "deploy/api\x00--memory\x002Gi\x00--cpu\x00100m", "-n\x00shop\x00cronjob/r",
		"deploy/api\x00--overrides\x00{\"spec\":{}}\x00--override-type\x00strategic", "deploy/api\x00--ttl\x001h\x00--lease=30s",
		"deploy/api\x00--labels\x00a=b\x00--drop-labels\x00c", "deploy/api\x00--as-user\x001000:1000\x00--no-token\x00-q",
		"deploy/api\x00--dry-run\x00-o\x00yaml", "deploy/api\x00--with\x00a,b\x00--init\x00none", "\xff\x00-\x00--=\x00-e", "--\x00--",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		if strings.Contains(typed, "env-file") {
			t.Skip("it reads files of this machine")
		}
		words := strings.Split(typed, "\x00")
		_, _ = parse(words)
		const secret = "hunter2-hunter2"
		if _, err := parse(append([]string{"-e", "A=" + secret, "-e", secret + "?", "-e" + secret + "!"}, words...)); err != nil &&
			strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats a value: %v", err)
		}
	})
}
