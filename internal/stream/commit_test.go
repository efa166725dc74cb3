package stream

import (
	"context"
	"testing"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// What servers really answer to a group says what has become of it, in each way in
// which it may fail. No transaction stays open on the stream that the next writes
// use: they are committed.
func TestCommitGroup(t *testing.T) {
	servers := map[string]func(t *testing.T) *Pool{
		"real sqld": func(t *testing.T) *Pool {
			p, _ := onSqld(t, netem.Conditions{})
			return p
		},
		"as sqld":        func(t *testing.T) *Pool { return newRig(t, hranatest.Options{}).Pool },
		"as Turso Cloud": func(t *testing.T) *Pool { return newRig(t, hranatest.Options{Profile: hranatest.Cloud}).Pool },
	}
	for server, open := range servers {
		t.Run(server, func(t *testing.T) {
			p := open(t)
			ctx := context.Background()
			do := func(text string) *exec.Result {
				t.Helper()
				s := stmts(text)
				s[0].WantRows = true
				resp, err := p.Do(ctx, &exec.Request{Class: exec.Write, Stmts: s})
				if err != nil || resp.Results[0].Err != nil {
					t.Fatalf("%s: %v, %v", text, resp, err)
				}
				return resp.Results[0].Result
			}
			do("CREATE TABLE g (a INTEGER PRIMARY KEY, b UNIQUE)")
			do("CREATE TABLE child (a REFERENCES g DEFERRABLE INITIALLY DEFERRED)")
			do("INSERT INTO g VALUES (1, 'taken')")
			const yes, no = "SELECT 1", "SELECT abs(-9223372036854775807 - 1)"
			const huge = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 12) SELECT hex(zeroblob(500000)) FROM n"
			for _, c := range []struct {
				name, check string
				texts       []string
				committed   bool
				checked     bool
				rows        int64  // of g and child that it adds
				code        string // of its error
				breaker     int
			}{
				{"good", yes, []string{"INSERT INTO g (b) VALUES ('a')", "UPDATE g SET b = 'b' WHERE b = 'a'", "INSERT INTO g (b) VALUES ('c')"}, true, true, 2, "", -1},
				{"one fails", yes, []string{"INSERT INTO g (b) VALUES ('a')", "INSERT INTO g (b) VALUES ('taken')", "INSERT INTO g (b) VALUES ('c')"}, true, true, 2, "", -1},
				{"OR ROLLBACK", yes, []string{"INSERT INTO g (b) VALUES ('a')", "INSERT OR ROLLBACK INTO g (b) VALUES ('taken')", "INSERT INTO g (b) VALUES ('c')"}, false, true, 0, "", 1},
				{"the commit fails", yes, []string{"INSERT INTO g (b) VALUES ('a')", "INSERT INTO child VALUES (777)"}, false, true, 0, "SQLITE_CONSTRAINT", -1},
				{"another schema", no, []string{"INSERT INTO g (b) VALUES ('a')"}, false, false, 0, "", -1},
				{"not to be read", yes, []string{"INSERT INTO g (b) VALUES ('a')", "INSER"}, false, false, 0, "SQL_PARSE_ERROR", -1},
				{"too large", yes, []string{"INSERT INTO g (b) VALUES ('a')", huge, "INSERT INTO g (b) VALUES ('c')"}, false, false, 0, codeTooLarge, -1},
			} {
				do("DELETE FROM g WHERE a > 1")
				group := &Group{Check: stmts(c.check)[0], Stmts: stmts(c.texts...)}
				for i := range group.Stmts {
					group.Stmts[i].WantRows = true
				}
				g, ok, err := p.CommitGroup(ctx, group)
				if err != nil || !ok {
					t.Errorf("%s: %v, %v", c.name, ok, err)
					continue
				}
				code := ""
				if g.Err != nil {
					code = g.Err.Code
				}
				if g.Committed != c.committed || g.Undone == c.committed || g.Checked != c.checked || code != c.code || g.Breaker() != c.breaker {
					t.Errorf("%s: committed %v, undone %v, checked %v, broken by %d, %v", c.name, g.Committed, g.Undone, g.Checked, g.Breaker(), g.Err)
				}
				if n := do("SELECT (SELECT count(*) FROM g) + (SELECT count(*) FROM child) - 1").Rows.Int(0, 0); n != c.rows {
					t.Errorf("%s: %d rows", c.name, n)
				}
				do("INSERT INTO g (b) VALUES ('after')")
				for range 2 * maxKept { // whatever stream had it
					s, kept := p.take(anyStream)
					if s.baton == "" {
						p.back(s, kept)
						break
					}
					if o := run(t, s, exec.Read, Plan{AskState: true}, "SELECT 1"); o.State != Autocommit {
						t.Errorf("%s: a transaction is open on a stream that others get", c.name)
					}
					s.End()
					p.back(s, kept)
				}
				fresh := makeStream(p)
				if n := run(t, fresh, exec.Read, Plan{}, "SELECT count(*) FROM g WHERE b = 'after'").Results[0].Result.Rows.Int(0, 0); n != 1 {
					t.Errorf("%s: the write after it is not committed", c.name)
				}
				fresh.End()
			}
		})
	}
}

// A batch that fails ends its own transaction, in its own request: to end the stream for
// it, as is done with one that is open, takes another.
func TestFailedBatchLeavesNoTransaction(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		s := r.Session()
		defer s.End()
		o, err := s.Run(context.Background(), exec.Write, &Plan{Begin: "BEGIN IMMEDIATE", Shape: Atomic, AskState: true,
			Stmts: stmts("INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (1, 2)")})
		if err != nil || o.State != Autocommit || o.Results[0].Err != nil || o.Results[1].Err == nil {
			t.Errorf("%+v, %v", o, err)
		}
		if n := r.count(t); n != 0 {
			t.Errorf("%d rows are there", n)
		}
	})
}
