package stream

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrRedirected is why a request has failed whose answer leads to another address.
var ErrRedirected = errors.New("eshell sends your credentials nowhere else: " +
	"a proxy may want you to log in to it again")

// Direct returns a transport that does not let an answer lead to another address. net/http would follow it
// there, and client-go would send the user's credentials along, whoever has that address, even without TLS.
// The error is ErrRedirected.
func Direct(next http.RoundTripper) http.RoundTripper { return direct{next} }

type direct struct{ http.RoundTripper }

// RoundTrip passes the request on.
func (d direct) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := d.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	to, err := answer.Location()
	if isRedirect := answer.StatusCode/100 == 3; !isRedirect || errors.Is(err, http.ErrNoLocation) {
		return answer, nil
	}
	answer.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("the server redirects to an address that cannot be read (%w), and %w", err,
			ErrRedirected)
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	return nil, fmt.Errorf("the server redirects to %s, and %w", to, ErrRedirected)
}
