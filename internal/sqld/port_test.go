package sqld

import (
	"errors"
	"net"
	"os"
	"testing"
)

func TestStartTakesOtherPortsWhenItLosesOne(t *testing.T) {
	stranger, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	// The second port of the first try is lost, then the first of the second.
	lost := []int{2, 3}
	calls := 0
	s, err := start(Options{Dir: t.TempDir(), Admin: true}, func() (string, error) {
		calls++
		if len(lost) > 0 && calls == lost[0] {
			lost = lost[1:]
			return stranger.Addr().String(), nil
		}
		return freePort()
	})
	if errors.Is(err, ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if calls != 6 {
		t.Errorf("%d ports were taken, want 2 for each of 3 tries", calls)
	}
}

func TestStartGivesUp(t *testing.T) {
	noPort := errors.New("no port")
	s, err := start(Options{Path: "/no/such/sqld"}, func() (string, error) { return "", noPort })
	if !errors.Is(err, noPort) {
		t.Errorf("start = %v, %v", s, err)
	}
}
