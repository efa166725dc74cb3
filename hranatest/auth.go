package hranatest

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorize checks the token. The answers are sqld's.
func (s *Server) authorize(r *http.Request) error {
	if s.opts.Token == "" {
		return nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return unauthorized("Expected authorization header but none given")
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return unauthorized("The `Authorization` HTTP header is invalid: Expected `Bearer`")
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(token)), []byte(s.opts.Token)) == 0 {
		return unauthorized("The JWT is invalid")
	}
	return nil
}

func unauthorized(reason string) *failure {
	return &failure{status: http.StatusUnauthorized, json: true, message: "Unauthorized: `" + reason + "`"}
}
