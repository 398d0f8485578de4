package embedded

import (
	"net/http"
	"strings"
)

// emptyRegistry is the registry NotFound: it speaks the protocol and has nothing.
func emptyRegistry(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	if strings.Trim(r.URL.Path, "/") == "v2" {
		return
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`))
}
