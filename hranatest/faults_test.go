package hranatest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func insertOne() string { return bare(execute(`insert into t values(1)`), `{"type":"close"}`) }

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault    Fault
		executed bool
		check    func(a answered) bool
	}{
		"drop before": {DropBefore, false, func(a answered) bool { return a.err != nil && a.status == 0 }},
		"drop after":  {DropAfter, true, func(a answered) bool { return a.err != nil && a.status == 0 }},
		"truncate": {Truncate, true, func(a answered) bool {
			return a.status == http.StatusOK && errors.Is(a.err, io.ErrUnexpectedEOF) && strings.HasPrefix(a.body, `{"baton"`)
		}},
		"garbage": {Garbage, true, func(a answered) bool { return a.status == http.StatusOK && !json.Valid([]byte(a.body)) }},
		"wrong shape": {WrongShape, true, func(a answered) bool {
			return a.status == http.StatusOK && json.Valid([]byte(a.body)) && !strings.Contains(a.body, "results")
		}},
		"429": {Status(http.StatusTooManyRequests, 1500*time.Millisecond), false, func(a answered) bool { return a.status == 429 && a.header.Get("Retry-After") == "2" }},
		"503": {Status(http.StatusServiceUnavailable, 0), false, func(a answered) bool { return a.status == 503 && a.header.Get("Retry-After") == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer(t, Options{})
			k := newTalk(t, s)
			k.must(executes(`create table t(a)`))
			s.Inject(1, c.fault)
			if a := post(s, insertOne()); !c.check(a) {
				t.Errorf("answered %+v", a)
			}
			want := "0"
			if c.executed {
				want = "1"
			}
			if got := k.one("a", `select count(*) from t`); got != want {
				t.Errorf("%s rows were inserted, want %s", got, want)
			}
		})
	}
}

func TestFaultsComeInTheOrderInWhichTheyWereInjected(t *testing.T) {
	s := NewServer(t, Options{})
	s.Inject(2, Status(500, 0))
	s.Inject(0, Status(999, 0))
	s.Inject(-1, Status(503, 0))
	var got []int
	for range 5 {
		got = append(got, post(s, bare()).status)
	}
	if a := send(http.MethodGet, s.URL()+"/health", "", nil); a.status != http.StatusOK {
		t.Errorf("/health: %d", a.status)
	}
	s.Behave()
	got = append(got, post(s, bare()).status)
	for i, want := range []int{500, 500, 503, 503, 503, 200} {
		if got[i] != want {
			t.Errorf("answers %v", got)
			break
		}
	}
}

func TestDelay(t *testing.T) {
	s := NewServer(t, Options{})
	const delay = 30 * time.Millisecond
	s.Delay(delay)
	start := time.Now()
	post(s, bare())
	if took := time.Since(start); took < delay {
		t.Errorf("answered after %v", took)
	}
	s.Behave()
	s.Delay(time.Hour)
	done := make(chan answered)
	go func() { done <- post(s, bare()) }()
	for s.Stats().Pipelines() < 2 {
		time.Sleep(time.Millisecond)
	}
	// A server that is closed waits for nothing.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if a := <-done; a.err == nil {
		t.Errorf("answered %+v", a)
	}
}

func TestExpireStreams(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin`, `insert into t values(1)`))
	k.must(executes(`select 1`).on("b"))
	if n := s.ExpireStreams(); n != 2 {
		t.Errorf("%d streams expired", n)
	}
	if n := s.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
	k.wants(executes(`insert into t values(2)`), `"code":"STREAM_EXPIRED"`)
	if got := k.one("c", `select count(*) from t`); got != "0" {
		t.Errorf("%s rows", got)
	}
	if n := s.ExpireStreams(); n != 1 {
		t.Errorf("%d streams expired", n)
	}
}

func TestStreamsExpireByThemselves(t *testing.T) {
	s := NewServer(t, Options{StreamIdle: time.Millisecond})
	k := newTalk(t, s)
	k.must(executes(`begin`))
	began := time.Now()
	for s.Stats().Streams > 0 {
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(began); took >= DefaultStreamIdle {
		t.Errorf("it takes %v", took)
	}
	k.wants(executes(`select 1`), `"code":"STREAM_EXPIRED"`)
}

func TestATimerThatComesTooLate(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`select 1`))
	for _, st := range s.streams.byID {
		s.streams.timeout(st) // it fired before the stream was used
	}
	k.must(executes(`select 1`))
	s.ExpireStreams()
	for _, st := range s.streams.byID {
		s.streams.timeout(st)
	}
	k.wants(executes(`select 1`), `STREAM_EXPIRED`)
}

func TestForgetStreams(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin`, `insert into t values(1)`))
	s.ForgetStreams()
	if n := s.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
	k.wants(executes(`select 1`), `Received an invalid baton`)
	k.batons["a"] = ""
	if got := k.one("a", `select count(*) from t`); got != "0" {
		t.Errorf("%s rows", got)
	}
}

func TestForgetAStreamInUse(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`begin`))
	baton := k.batons["a"]
	st, err := s.streams.acquire(t.Context(), baton)
	if err != nil {
		t.Fatal(err)
	}
	s.ForgetStreams()
	if n := s.Stats().Streams; n != 1 {
		t.Errorf("%d streams are open while one is in use", n)
	}
	k.batons["a"] = s.streams.release(st)
	if n := s.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
	k.wants(executes(`select 1`), `Received an invalid baton`)
}

func TestTakeTransaction(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin`, `select * from t`))
	if s.TakeTransaction() {
		t.Error("a transaction that has only read was taken away")
	}
	k.must(executes(`insert into t values(1)`))
	if !s.TakeTransaction() {
		t.Error("there was no transaction to take away")
	}
	if s.TakeTransaction() {
		t.Error("it was taken away twice")
	}
	k.wants(executes(`insert into t values(2)`), `TRANSACTION_TIMEOUT`)
	k.must(executes(`insert into t values(3)`))
	if got := k.one("b", `select group_concat(a) from t`); got != "3" {
		t.Errorf("the table holds %s", got)
	}
}
