package hranatest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAddr(t *testing.T) {
	first, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := NewServer(t, Options{Addr: strings.TrimPrefix(first.URL(), "http://")})
	if again.URL() != first.URL() {
		t.Errorf("it is at %s, not at %s", again.URL(), first.URL())
	}
}

// Who comes when all streams are taken waits for one, and not for long.
func TestMaxStreams(t *testing.T) {
	s := NewServer(t, Options{MaxStreams: 2, OpenTimeout: time.Millisecond})
	k := newTalk(t, s)
	for _, baton := range []string{"a", "b"} {
		k.must(executes(`select 1`).on(baton))
	}
	if a := post(s, bare(execute(`select 1`))); a.status == http.StatusOK {
		t.Errorf("a third stream is open: %+v", a)
	}
	if n := s.Stats().Streams; n != 2 {
		t.Errorf("%d streams are open", n)
	}
	k.end()
}

func TestOpenTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 90 * time.Second
		ss := newStreams(nil, Options{MaxStreams: 1, OpenTimeout: limit}.withDefaults())
		ss.slots <- struct{}{}
		began := time.Now()
		if _, err := ss.acquire(context.Background(), ""); err == nil || time.Since(began) != limit {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestMaxValue(t *testing.T) {
	s := NewServer(t, Options{MaxValue: 1000})
	for sql, fits := range map[string]bool{`select zeroblob(1000)`: true, `select zeroblob(1001)`: false} {
		if a := post(s, bare(execute(sql))); strings.Contains(a.body, `"type":"error"`) == fits {
			t.Errorf("%s: %s", sql, a.body)
		}
	}
}
