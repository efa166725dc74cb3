package stream

import (
	"net/url"
	"testing"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// Reads and writes by turns must settle on one stream for each: reads do not use
// streams that have been written on, so a write that took theirs would have every
// read open a new one.
func TestReadsAndWritesByTurnsOpenNoStreamsForever(t *testing.T) {
	u, err := url.Parse(hranatest.NewServer(t, hranatest.Options{}).URL())
	if err != nil {
		t.Fatal(err)
	}
	client := hranahttp.New(hranahttp.Config{URL: u})
	p := NewPool(client, nil, nil)
	defer client.Close()
	defer p.Close()
	do := func(class exec.Class, sql string) {
		t.Helper()
		resp, err := p.Do(t.Context(), &exec.Request{Class: class, Stmts: []exec.Stmt{{SQL: sql, WantRows: true, Note: &exec.Note{}}}})
		if err != nil {
			t.Fatal(err)
		}
		if e := resp.Results[0].Err; e != nil {
			t.Fatal(e)
		}
	}
	do(exec.Write, "CREATE TABLE t (a)")
	client.AwaitLevel(t.Context())
	turn := func() {
		do(exec.Write, "UPDATE t SET a = 1")
		do(exec.Read, "SELECT * FROM t")
	}
	for range 3 {
		turn()
	}
	before := p.Counters()
	for range 10 {
		turn()
	}
	after := p.Counters()
	if n := after.Opened - before.Opened; n != 0 {
		t.Errorf("%d streams were opened by 10 turns", n)
	}
	if n := after.Closed - before.Closed; n != 0 {
		t.Errorf("%d streams were closed by 10 turns", n)
	}
}
