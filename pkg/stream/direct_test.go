package stream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDirect: no answer leads to another address, and the error has no query of it.
func TestDirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the other address has got a request")
	}))
	t.Cleanup(elsewhere.Close)
	for _, tt := range []struct {
		name, location string
		status         int
		want           string // in the error; empty: there is none
	}{
		{"another address", elsewhere.URL + "/login?token=s3cret#x", http.StatusFound, elsewhere.URL + "/login, and "},
		{"with the method", elsewhere.URL, http.StatusTemporaryRedirect, elsewhere.URL + ", and "},
		{"another path", "/login", http.StatusSeeOther, "/login, and "},
		{"no address at all", "http://%", http.StatusFound, "cannot be read"},
		{"nowhere", "", http.StatusNotModified, ""},
		{"a new object's own", "/pods/api", http.StatusCreated, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tt.location != "" {
					w.Header().Set("Location", tt.location)
				}
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(server.Close)
			client := &http.Client{Transport: Direct(http.DefaultTransport)}
			answer, err := client.Post(server.URL, "application/json", strings.NewReader("{}"))
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			if (err != nil) != (tt.want != "") || err != nil && (!strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
