package hranatest

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStartAndClose(t *testing.T) {
	for _, p := range []Profile{Sqld, Cloud, V2} {
		s, err := Start(Options{Profile: p})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
