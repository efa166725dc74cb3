package doctor

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// A token is what can be read of a bearer token without the key that signed it.
type token struct {
	given, jwt bool
	expires    time.Time // zero: never
	readOnly   bool
}

// readToken takes a JWT's claims: exp as RFC 7519 has it, and "a", by which
// libSQL servers tell read-only tokens ("ro") from others.
func readToken(text string) token {
	t := token{given: text != ""}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return t
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return t
	}
	var claims struct {
		Exp    *float64 `json:"exp"`
		Access string   `json:"a"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return t
	}
	t.jwt, t.readOnly = true, claims.Access == "ro"
	if claims.Exp != nil {
		t.expires = time.Unix(int64(*claims.Exp), 0).UTC()
	}
	return t
}

func (t token) expired(now time.Time) bool {
	return !t.expires.IsZero() && t.expires.Before(now)
}

func (t token) String() string {
	switch {
	case !t.given:
		return "no token is given"
	case !t.jwt:
		return "a token is given; it is not a JWT"
	}
	text := "a token is given, a JWT"
	if t.readOnly {
		text += " for reading only"
	}
	if t.expires.IsZero() {
		return text + " that does not expire"
	}
	return text + " that expires at " + t.expires.Format(time.RFC3339)
}
