package workload

import (
	"strings"
	"testing"
)

// FuzzManifest: whatever a manifest has, it is taken or refused in one line, and no error repeats a value:
// where "s3cret" is one, and neither a name nor a field.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		podYAML, deploymentYAML, rolloutYAML, jobYAML, serviceYAML, sealedYAML,
		deploymentYAML + next + jobYAML,
		listOf("List", podYAML, jobYAML), namespaced(podYAML), "a: *s3cret", "? [s3cret]\n: x", "{\"kind\": s3cret",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {replicas: s3cret}",
		"apiVersion: v1\nkind: Pod\nspec: {containers: [{env: [{name: A, value: [s3cret]}]}]}",
		"apiVersion: v1\nkind: Pod\nmetadata: {creationTimestamp: s3cret}\n", "---\n---\n", "a: &a [*a]", "\xff\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := readObjects(text)
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("reading: %q", err)
		}
		for _, object := range objects {
			if _, err := decode(object); err != nil && strings.Contains(err.Error(), "s3cret") &&
				!strings.Contains(err.Error(), "unknown field") {
				t.Errorf("decoding: %q", err)
			}
		}
	})
}
