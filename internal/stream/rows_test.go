package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// numbers gives n rows, each of them 1 KB.
func numbers(n int) string {
	return fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, printf('%%.*c', 1000, 'x') FROM n", n)
}

func newLargeRig(t testing.TB) *rig { return newRig(t, hranatest.Options{MaxResponse: 10_000}) }

// drain reads a cursor to its end and gives the last number.
func drain(t testing.TB, c exec.Cursor) (last int64) {
	t.Helper()
	var table exec.Table
	for {
		switch err := c.Next(&table); {
		case err == io.EOF:
			return last
		case err != nil:
			t.Fatal(err)
		case table.Len() == 0:
			t.Fatal("an empty table")
		}
		for row := range table.Len() {
			if n := table.Int(row, 0); n != last+1 {
				t.Fatalf("%d follows %d", n, last)
			}
			last++
		}
		if table.Used() > 2*chunk {
			t.Fatalf("%d bytes at once", table.Used())
		}
	}
}

// What is too large for one response comes through a cursor, from then on at
// once.
func TestRows(t *testing.T) {
	r := newLargeRig(t)
	note := new(exec.Note)
	for i := range 3 {
		before := r.posts()
		res, err := r.do(exec.Read, exec.Stmt{SQL: numbers(1000), Note: note})
		if err != nil {
			t.Fatal(err)
		}
		if n := drain(t, res.Cursor); n != 1000 || len(res.Cols) != 2 || res.Cols[0].Name != "i" {
			t.Errorf("%d rows, columns %v", n, res.Cols)
		}
		if want := []int64{2, 1, 1}[i]; r.posts()-before != want {
			t.Errorf("time %d: %d requests", i, r.posts()-before)
		}
		if !note.Large.Load() {
			t.Error("that it is large is not remembered")
		}
		if err := res.Cursor.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(r.free) == 0 || r.kept != len(r.free) {
		t.Errorf("%d streams are free, %d kept", len(r.free), r.kept)
	}
}

// A cursor that is closed early gives its stream up, and Close may be repeated.
func TestRowsClose(t *testing.T) {
	r := newLargeRig(t)
	for range 5 {
		res, err := r.do(exec.Read, exec.Stmt{SQL: numbers(100_000)})
		if err != nil {
			t.Fatal(err)
		}
		var table exec.Table
		if err := res.Cursor.Next(&table); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := res.Cursor.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := res.Cursor.Next(&table); err != io.EOF {
			t.Errorf("after Close: %v", err)
		}
	}
	if r.kept != len(r.free) {
		t.Errorf("%d streams are free, %d kept", len(r.free), r.kept)
	}
	await(t, "the streams to be closed", func() bool { return r.server.Stats().Streams <= len(r.free) })
}

// A stream that is needed while a cursor is open reads the rest into memory.
func TestRowsBuffered(t *testing.T) {
	r := newLargeRig(t)
	s := begun(t, r)
	o, err := s.Large(context.Background(), &exec.Stmt{SQL: numbers(2000), Note: new(exec.Note), WantRows: true}, "", true)
	if err != nil || o.State != InTransaction {
		t.Fatalf("%+v, %v", o, err)
	}
	c := o.Results[0].Result.Cursor
	if o := run(t, s, exec.Write, Plan{Guard: true}, "INSERT INTO t (b) VALUES (2)"); o.Refused || o.Results[0].Err != nil {
		t.Errorf("%+v", o)
	}
	if n := drain(t, c); n != 2000 {
		t.Errorf("%d rows", n)
	}
	_ = c.Close()
	s.End()
}

// Who needs the stream waits no longer than its own context, and the rows are
// there all the same. To close them ends the waiting, too.
func TestRowsBufferedLate(t *testing.T) {
	r := newLargeRig(t)
	s := begun(t, r)
	reading := make(chan struct{})
	cursor := func() *Rows { return &Rows{cancel: func() {}, done: func(bool) {}, reading: reading} }
	s.cursor = cursor()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := s.Run(ctx, exec.Write, &Plan{Guard: true, Stmts: stmts("SELECT 1")})
	var e *exec.Error
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || e.Proof != exec.NotExecuted || e.StreamLost {
		t.Errorf("%v", err)
	}
	if s.cursor.whole() {
		t.Error("it is whole before it is read")
	}
	close(reading)
	s.cursor.ended.Store(true)
	if o := run(t, s, exec.Write, Plan{Guard: true}, "SELECT 1"); o.Refused {
		t.Error("the transaction is gone")
	}
	s.End()
}

// What a failing first statement leaves of its transaction is asked for.
func TestRowsFail(t *testing.T) {
	r := newLargeRig(t)
	for _, text := range []string{"SELECT * FROM missing", "SELECT missing()"} {
		s := r.Session()
		o, err := s.Large(context.Background(), &exec.Stmt{SQL: text, Note: new(exec.Note)}, "BEGIN", false)
		if err != nil {
			t.Fatal(err)
		}
		if o.Results[0].Err == nil || o.State != InTransaction || o.Begin.Result == nil {
			t.Errorf("%s: %+v", text, o)
		}
		s.Pin()
		s.End()
	}
	s := begun(t, r)
	r.server.TakeTransaction()
	for i := range 2 {
		o, err := s.Large(context.Background(), &exec.Stmt{SQL: "SELECT 1", Note: new(exec.Note)}, "", true)
		if err != nil || o.Refused != (i > 0) || !o.Refused && !TxTimeout(o.Results[0].Err) {
			t.Errorf("taken away, %d: %+v, %v", i, o, err)
		}
	}
	s.End()
}

// A server without cursors is told apart.
func TestRowsWithoutCursor(t *testing.T) {
	r := newRig(t, hranatest.Options{Profile: hranatest.V2, MaxResponse: 10_000})
	_, err := r.do(exec.Read, exec.Stmt{SQL: numbers(100)})
	var e *exec.Error
	if !errors.As(err, &e) || e.Code != codeTooLarge || e.Proof != exec.Failed {
		t.Errorf("%v", err)
	}
}

// A toldOf counts the answers with numbers that a Watch is told of.
type toldOf struct{ n int }

func (*toldOf) Add(WriteSet, []exec.Stmt, bool) WriteSet { return nil }
func (*toldOf) Begin(WriteSet, bool) Write               { return nil }
func (a *toldOf) Answered(_ Write, stmts []exec.Stmt, _ bool) {
	if len(stmts) == 1 && strings.Contains(stmts[0].SQL, "RECURSIVE") {
		a.n++
	}
}
func (*toldOf) Seen(int64) {}
func (*toldOf) Replica()   {}

// A large result is read from the database when its rows are, which may be long after
// its answer has begun: what it shows is told before the first of them is given.
func TestRowsShowWhenTheyAreRead(t *testing.T) {
	r := newLargeRig(t)
	w := new(toldOf)
	r.Watch(w)
	s := r.Session()
	o, err := s.Large(context.Background(), &exec.Stmt{SQL: numbers(2000), Note: new(exec.Note), WantRows: true, Fill: true}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if w.n != 0 {
		t.Errorf("%d answers are told of before the statement needs to have run", w.n)
	}
	c := o.Results[0].Result.Cursor
	var table exec.Table
	if err := c.Next(&table); err != nil || w.n != 1 {
		t.Errorf("%d answers are told of with the first rows: %v", w.n, err)
	}
	_ = c.Close()
	s.End()
}

// A cursor that ends behind its head says nothing of the statement: neither that it
// has a result nor that it has failed.
func TestRowsWithoutAResult(t *testing.T) {
	r := newRig(t, hranatest.Options{Profile: hranatest.Cloud})
	target, err := url.Parse(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(a *http.Response) error {
		if !strings.HasSuffix(a.Request.URL.Path, "/cursor") {
			return nil
		}
		body, err := io.ReadAll(a.Body)
		head, _, _ := bytes.Cut(body, []byte("\n"))
		a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(append(head, '\n'))), -1
		a.Header.Del("Content-Length")
		return err
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	u, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := hranahttp.New(hranahttp.Config{URL: u})
	p := NewPool(client, new(limit.Budget), time.Now)
	defer client.Close()
	defer p.Close()
	s := p.Session()
	defer s.End()
	o, err := s.Large(context.Background(), &exec.Stmt{SQL: numbers(5), Note: new(exec.Note), WantRows: true}, "", false)
	if err == nil || !strings.Contains(err.Error(), "no result of the statement") {
		t.Fatalf("%+v, %v", o, err)
	}
}
