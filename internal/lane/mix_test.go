package lane

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// fates are what may become of a statement.
var fates = []string{"ok", "fails", "unread", "too large", "kills the request", "slow", "leaves"}

// Any mix of statements, sizes and failures: each caller gets its own row or its
// own error, a write that is told to have succeeded has run exactly once, and one
// that is told to have failed has not run at all.
func TestEverybodyGetsTheirOwn(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type call struct {
			fate   string
			write  bool
			fresh  bool
			wait   time.Duration
			weight int
		}
		calls := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) call {
			return call{
				fate:   rapid.SampledFrom(fates).Draw(r, "fate"),
				write:  rapid.Bool().Draw(r, "write"),
				fresh:  rapid.Bool().Draw(r, "fresh"),
				wait:   time.Duration(rapid.IntRange(0, 3000).Draw(r, "wait")) * time.Microsecond,
				weight: rapid.SampledFrom([]int{0, 100, 50000, 70000}).Draw(r, "weight"),
			}
		}), 1, 120).Draw(r, "calls")
		cfg := Config{
			Coalesce:    rapid.Bool().Draw(r, "coalesce"),
			GroupCommit: rapid.Bool().Draw(r, "group commit"),
			Lanes:       rapid.IntRange(0, 3).Draw(r, "lanes"),
		}
		texts := map[string]text{}
		for _, fate := range fates {
			texts[fate] = known(fate)
		}
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			cfg.Streams = f
			l := New(cfg)
			var mu sync.Mutex
			ran := map[int64]int{} // writes that count
			f.slow = func(r *sent) time.Duration {
				if r.has("slow") {
					return 200 * time.Millisecond
				}
				return 0
			}
			f.fails = func(r *sent) error {
				if r.has("kills the request") {
					return &exec.Error{Source: exec.FromServer, Status: 500, Proof: exec.NotExecuted, Message: "killed"}
				}
				return nil
			}
			f.result = func(s *exec.Stmt) exec.StmtResult {
				switch s.SQL {
				case "fails":
					return exec.StmtResult{Err: constraint(fmt.Sprint(s.Args[0].Int))}
				case "unread":
					return exec.StmtResult{Err: parseError}
				case "too large":
					if !s.Note.Large.Load() {
						return exec.StmtResult{Err: &exec.Error{Proof: exec.OutcomeUnknown, Code: "RESPONSE_TOO_LARGE"}}
					}
				}
				if s.Args[0].Int < 0 { // a write
					mu.Lock()
					ran[s.Args[0].Int]++
					mu.Unlock()
				}
				return echo(s)
			}
			f.commit = func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				o := &stream.GroupOutcome{Committed: true, Begun: true, Checked: true, Results: results}
				for i := range results {
					if e := results[i].Err; e != nil && e.Code == "SQL_PARSE_ERROR" {
						o = &stream.GroupOutcome{Undone: true, Results: make([]exec.StmtResult, len(results)), Err: e}
					}
				}
				if !o.Committed {
					mu.Lock()
					for i := range g.Stmts {
						if results[i].Result != nil {
							ran[g.Stmts[i].Args[0].Int]--
						}
					}
					mu.Unlock()
				}
				return o
			}
			var wg sync.WaitGroup
			for i, c := range calls {
				x := texts[c.fate]
				if c.fresh {
					x = fresh(c.fate)
				}
				n := i + 1
				if c.write {
					n = -n
				}
				args := []exec.Value{integer(n), {Kind: exec.Blob, Blob: make([]byte, c.weight)}}
				req := x.read(args...)
				if c.write {
					req = x.write(args...)
				}
				wg.Go(func() {
					time.Sleep(c.wait)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					if c.fate == "leaves" {
						ctx, cancel = context.WithTimeout(ctx, c.wait/2)
						defer cancel()
					}
					resp, err := l.Do(ctx, req)
					mu.Lock()
					defer mu.Unlock()
					times := ran[int64(n)]
					e, _ := err.(*exec.Error)
					switch {
					case e != nil && c.fate == "leaves":
						if e.Proof == exec.NotExecuted && times != 0 {
							t.Errorf("%d: who left with nothing sent has run %d times", n, times)
						}
						return
					case e != nil && c.fate == "kills the request":
						return
					case err != nil:
						t.Errorf("%d (%s): %v", n, c.fate, err)
						return
					}
					got := resp.Results[0]
					switch {
					case len(resp.Results) != 1:
						t.Errorf("%d: %d results", n, len(resp.Results))
					case c.fate == "fails":
						if got.Err == nil || got.Err.Message != fmt.Sprint(n) {
							t.Errorf("%d: got %+v", n, got)
						}
					case c.fate == "unread":
						if got.Err != parseError {
							t.Errorf("%d: got %+v", n, got)
						}
					case c.fate == "too large" && got.Err != nil:
						if !c.write && cfg.Coalesce && got.Err.Code != "RESPONSE_TOO_LARGE" {
							t.Errorf("%d: got %v", n, got.Err)
						}
					case got.Err != nil || got.Result.Rows.Int(0, 1) != int64(n) || got.Result.Rows.String(0, 0) != c.fate:
						t.Errorf("%d (%s): got %+v", n, c.fate, got)
					case c.write && times != 1:
						t.Errorf("%d (%s): ran %d times", n, c.fate, times)
					}
				})
			}
			wg.Wait()
			f.close()
			l.Close()
			if n := l.gate.Busy(); n != 0 {
				t.Errorf("%d places held", n)
			}
		})
		if t.Failed() {
			r.FailNow()
		}
	})
}
