package hranatest

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// endless runs until it is interrupted.
const endless = `with recursive n(i) as (select 1 union all select i+1 from n) select count(*) from n`

// running blocks until n statements have been begun.
func (s *Server) running(n int64) {
	for s.Stats().Statements < n {
		time.Sleep(100 * time.Microsecond)
	}
}

func TestCloseBreaksOffWhatRuns(t *testing.T) {
	for name, body := range map[string]exchange{
		"a statement": executes(endless),
		"a batch":     pipeline(batch(stepOf(endless), stepOf(endless))),
		"a cursor":    cursor(stepOf(`with recursive n(i) as (select 1 union all select i+1 from n) select i from n`)),
		"many":        executes(endless, endless),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Start(Options{})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan answered)
			go func() {
				done <- send(http.MethodPost, s.URL()+"/v3/"+body.path, strings.ReplaceAll(body.body, "BATON", "null"), nil)
			}()
			s.running(1)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if a := <-done; a.err == nil && a.status == http.StatusOK {
				t.Errorf("answered %.300s", a.body)
			}
		})
	}
}

func TestCloseBreaksOffWhoWaits(t *testing.T) {
	s, err := Start(Options{MaxStreams: 2, OpenTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin immediate`))
	done := make(chan answered)
	go func() { done <- post(s, bare(execute(`insert into t values(1)`))) }()
	s.waiting(1)
	go func() { done <- post(s, bare()) }() // there is no stream left for it
	for s.Stats().Pipelines() < 3 {
		time.Sleep(100 * time.Microsecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-done
	<-done
}

// A client that goes away stops the step that runs; the steps after it are run,
// and then the stream is closed.
func TestAClientThatGoesAway(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`))
	ctx, cancel := context.WithCancel(t.Context())
	body := bare(execute(`begin`), batch(stepOf(endless), stepOf(`insert into t values(1)`), stepOf(`commit`)), execute(`insert into t values(2)`))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/v3/pipeline", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Statements
	go func() {
		s.running(before + 2)
		cancel()
	}()
	if resp, err := plain.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("answered")
	}
	for s.Stats().Streams > 1 {
		time.Sleep(100 * time.Microsecond)
	}
	if got := k.one("a", `select group_concat(a) from t`); got != "1" {
		t.Errorf("the table holds %s", got)
	}
}

// A write that has waited longer than its client is committed.
func TestAWriterThatGoesAwayWhileItWaits(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin immediate`))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/v3/pipeline", strings.NewReader(bare(execute(`insert into t values(1)`))))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		s.waiting(1)
		cancel()
	}()
	if resp, err := plain.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("answered")
	}
	k.must(executes(`commit`))
	for s.Stats().Streams > 1 {
		time.Sleep(100 * time.Microsecond)
	}
	if got := k.one("a", `select count(*) from t`); got != "1" {
		t.Errorf("%s rows", got)
	}
}

// The connection of a cursor that nobody reads is free again when its client is
// gone.
func TestACursorWhoseClientGoesAway(t *testing.T) {
	s := NewServer(t, Options{})
	resp, err := plain.Post(s.URL()+"/v3/cursor", "application/json", strings.NewReader(`{"batch":{"steps":[`+stepOf(`with recursive n(i) as (select 1 union all select i+1 from n) select i from n`)+`]}}`))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	if _, err := resp.Body.Read(buf); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	s.ExpireStreams()
	for {
		s.engine.mu.Lock()
		idle := len(s.engine.idle)
		s.engine.mu.Unlock()
		if idle == 1 {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// What a cursor has said of one step is sent before the next one runs, and its
// baton is good while it does.
func TestACursorTellsWhatItHas(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin immediate`))
	body := `{"batch":{"steps":[` + stepOf(`select 'first'`) + `,` + stepOf(`insert into t values(1)`) + `]}}`
	resp, err := plain.Post(s.URL()+"/v3/cursor", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{`"baton":"`, "step_begin", "first", "step_end"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("%q, want %s", lines.Text(), want)
		}
	}
	s.waiting(1)
	k.must(executes(`commit`))
	for _, want := range []string{"step_begin", `"affected_row_count":1`, "replication_index"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("%q, want %s", lines.Text(), want)
		}
	}
}
