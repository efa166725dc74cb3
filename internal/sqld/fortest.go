package sqld

import (
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
