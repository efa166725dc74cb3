package hranahttp

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// reserved are the header fields that a user cannot set. Some belong to HTTP or
// to Hrana; Accept-Encoding because the answer would come in an encoding that
// nobody decodes; the idempotency keys because net/http takes them for leave to
// send a POST twice.
var reserved = map[string]bool{
	"Host": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Transfer-Encoding": true,
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Upgrade": true,
	"Expect": true, "Accept-Encoding": true, "Idempotency-Key": true, "X-Idempotency-Key": true,
}

// fixedHeader is what every request carries, whatever its token and encoding.
func fixedHeader(cfg *Config) (http.Header, error) {
	h := http.Header{}
	for name, values := range cfg.Header {
		key := http.CanonicalHeaderKey(name)
		if !validName(name) {
			return nil, errors.New("the Header has a field whose name cannot be sent")
		}
		for _, v := range values {
			if !validValue(v) {
				return nil, errors.New("the Header's field " + key + " has a value that cannot be sent")
			}
		}
		if !reserved[key] {
			h[key] = append(h[key], values...)
		}
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{cfg.UserAgent}
	}
	if key := cfg.EncryptionKey; key != "" {
		if !validValue(key) {
			return nil, errors.New("the remote encryption key contains a control character")
		}
		h["X-Turso-Encryption-Key"] = []string{key}
	}
	if basic := basicAuth(cfg); basic != "" {
		h["Authorization"] = []string{"Basic " + basic}
	}
	return h, nil
}

// basicAuth is what the URL's user and password are sent as; a token takes their
// place.
func basicAuth(cfg *Config) string {
	u := cfg.URL.User
	if u == nil {
		return ""
	}
	password, _ := u.Password()
	return base64.StdEncoding.EncodeToString([]byte(u.Username() + ":" + password))
}

func contentType(enc hrana.Encoding) string {
	if enc == hrana.Protobuf {
		return "application/x-protobuf"
	}
	return "application/json"
}

// validName is RFC 9110's token.
func validName(s string) bool {
	for _, ch := range []byte(s) {
		if ch <= ' ' || ch >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, ch) >= 0 {
			return false
		}
	}
	return s != ""
}

// validValue allows what cannot end a header field.
func validValue(s string) bool {
	for _, ch := range []byte(s) {
		if ch < ' ' && ch != '\t' || ch == 0x7f {
			return false
		}
	}
	return true
}
