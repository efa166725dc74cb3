package sqld

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"testing"
)

// ForTest runs a server for one test, in a temporary folder unless opts names
// one, and ends it when the test does; what the server logged is shown if the
// test failed.
//
// On a machine without sqld the test is skipped and says what to install. Where
// the environment has CI=true it fails instead: a suite that tests nothing must
// not pass there.
func ForTest(t testing.TB, opts Options) *Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := Start(opts)
	if errors.Is(err, ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED against a real server: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Its data are thrown away, so there is nothing to end gracefully.
		s.Kill()
		if t.Failed() {
			t.Logf("the log of sqld on %s ends with:\n%s", s.URL(), s.log.tail(4000))
		}
	})
	return s
}

// NewKey writes a public key to file, for Options.JWTKeyFile, and gives the private
// one, which Token signs with.
func NewKey(t testing.TB, file string) ed25519.PrivateKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return private
}

// Token is a token with the given claims, in JSON, as sqld checks it.
func Token(key ed25519.PrivateKey, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." + enc([]byte(claims))
	return text + "." + enc(ed25519.Sign(key, []byte(text)))
}
