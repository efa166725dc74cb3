package hranatest

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorize checks the token and tells whether it may only read. The answers
// are sqld's.
func (s *Server) authorize(r *http.Request) (readOnly bool, err error) {
	if s.opts.Token == "" && s.opts.ReadToken == "" {
		return false, nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		header = r.Header.Get("X-Authorization")
	}
	if header == "" {
		return false, unauthorized("Expected authorization header but none given")
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || token == "" {
		return false, unauthorized("Auth string does not conform to '<scheme> <token>' form")
	}
	if !strings.EqualFold(scheme, "bearer") {
		return false, unauthorized("The authentication scheme in the `Authorization` HTTP header is not supported")
	}
	switch {
	case same(token, s.opts.Token):
		return false, nil
	case same(token, s.opts.ReadToken):
		return true, nil
	}
	return false, unauthorized("The JWT is invalid")
}

func same(token, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
}

func unauthorized(reason string) *failure {
	return &failure{status: http.StatusUnauthorized, json: true, message: "Unauthorized: `" + reason + "`"}
}

func forbidden(reason string) *failure {
	return &failure{status: http.StatusForbidden, json: true, message: "Authorization forbidden: " + reason}
}

var errReadOnlyToken = forbidden("Current session doesn't not have Write permission to namespace default")
