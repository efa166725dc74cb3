package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/stream"
)

func constraint(message string) *exec.Error {
	return &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: "SQLITE_CONSTRAINT", Message: message}
}

// A write that finds a lane free goes out at once and alone. Those that come
// while both are out share a transaction, and are told after its commit.
func TestWritesShareATransaction(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		w := known("w")
		var asks []*asked
		for i := range 10 {
			asks = append(asks, start(l, w.write(integer(i))))
		}
		if got := f.kinds(); got != "do 1, do 1" {
			t.Fatalf("sent at once: %s", got)
		}
		for i, a := range asks {
			a.gets(t, "w", i)
		}
		if c := l.Counters(); c.Committed != 8 || c.Groups == 0 || c.Groups > 2 || c.Ungrouped != 0 {
			t.Errorf("counted %+v; sent %s", c, f.kinds())
		}
	})
}

// One by one, as many as the gate lets in, where group commit is off.
func TestWritesTravelAloneWithoutGroupCommit(t *testing.T) {
	bubble(t, Config{Coalesce: true}, func(t *testing.T, f *fake, l *Lanes) {
		w := known("w")
		var asks []*asked
		for i := range 100 {
			asks = append(asks, start(l, w.write(integer(i))))
		}
		if l.gate.Busy() != inServer || f.insideNow() != inServer {
			t.Errorf("%d at the gate, %d under way", l.gate.Busy(), f.insideNow())
		}
		for i, a := range asks {
			a.gets(t, "w", i)
		}
		for _, r := range f.log {
			if r.kind != "do" || len(r.texts) != 1 {
				t.Fatalf("sent: %s", f.kinds())
			}
		}
	})
}

// What may not share does not.
func TestSomeWritesNeverShare(t *testing.T) {
	change := map[string]func(r *exec.Request){
		"not a single INSERT, UPDATE or DELETE": func(r *exec.Request) { r.Stmts[0].Shares = false },
		"its text has not succeeded":            func(r *exec.Request) { r.Stmts[0].Note.Succeeded.Store(false) },
		"its rowid may be another's":            func(r *exec.Request) { r.Stmts[0].Rowid = exec.RowidMaybe },
		"it is not known to set a rowid":        func(r *exec.Request) { r.Stmts[0].Note.SetsRowid.Store(false) },
		"it is slow":                            func(r *exec.Request) { r.Stmts[0].Note.ServerTime.Store(int64(SlowAfter)) },
		"it has broken groups":                  func(r *exec.Request) { r.Stmts[0].Note.Alone.Store(1e6) },
		"two statements":                        func(r *exec.Request) { r.Stmts = append(r.Stmts, r.Stmts[0]) },
		"large arguments": func(r *exec.Request) {
			r.Stmts[0].Args = append(r.Stmts[0].Args, exec.Value{Kind: exec.Blob, Blob: make([]byte, maxArgs)})
		},
	}
	for name, change := range change {
		bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
			f.result = func(s *exec.Stmt) exec.StmtResult {
				r := echo(s)
				r.Result.RowsRead = 1e6
				return r
			}
			var asks []*asked
			for i := range 20 {
				req := known("w").write(integer(i))
				change(req)
				asks = append(asks, start(l, req))
			}
			for _, a := range asks {
				<-a.done
			}
			for _, r := range f.log {
				if r.kind == "group" {
					t.Errorf("%s: sent %s", name, f.kinds())
					break
				}
			}
		})
	}
}

// hold occupies both commit lanes, so that what is started next shares a group.
func hold(l *Lanes, f *fake) []*asked {
	return []*asked{start(l, known("first").write()), start(l, known("first").write())}
}

// groupOf starts n writes that will share a group, the ones that lose names under
// texts of their own.
func groupOf(l *Lanes, n int, names map[int]text) []*asked {
	w := known("w")
	var asks []*asked
	for i := range n {
		x, ok := names[i]
		if !ok {
			x = w
		}
		asks = append(asks, start(l, x.write(integer(i))))
	}
	return asks
}

func TestAStatementThatFailsFailsAlone(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		bad := known("bad")
		failure := constraint("UNIQUE constraint failed: t.a")
		f.result = func(s *exec.Stmt) exec.StmtResult {
			if s.SQL == "bad" {
				return exec.StmtResult{Err: failure}
			}
			return echo(s)
		}
		hold(l, f)
		asks := groupOf(l, 6, map[int]text{2: bad})
		for i, a := range asks {
			if i == 2 {
				if <-a.done; a.err != nil || a.resp.Results[0].Err != failure {
					t.Errorf("got %+v, %v", a.resp, a.err)
				}
				continue
			}
			a.gets(t, "w", i)
		}
		if c := l.Counters(); c.Committed != 6 || c.Ungrouped != 0 || bad.note.Alone.Load() != 0 {
			t.Errorf("counted %+v", c)
		}
	})
}

// brokenBy is the outcome of a group whose statement i has ended the transaction.
func brokenBy(i int, results []exec.StmtResult) *stream.GroupOutcome {
	results[i] = exec.StmtResult{Err: constraint("RAISE")}
	clear(results[i+1:])
	return &stream.GroupOutcome{Undone: true, Begun: true, Checked: true, Results: results}
}

// broken is the outcome of a group whose breaker, if it is there, ends it.
func broken(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
	for i := range g.Stmts {
		if g.Stmts[i].SQL == "breaker" {
			return brokenBy(i, results)
		}
	}
	return &stream.GroupOutcome{Committed: true, Begun: true, Checked: true, Results: results}
}

// What becomes of a group decides what its writes are told, and which of them run
// again, each exactly once.
func TestTheOutcomeOfAGroup(t *testing.T) {
	busy := &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: "SQLITE_BUSY"}
	for name, c := range map[string]struct {
		commit  func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome
		fails   error
		v2      bool
		again   bool // they run one by one
		unknown bool
		alone   int32 // of the breaker's text
		// expelled is how many run by themselves while the rest share again.
		expelled int
	}{
		"a statement has ended it": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return broken(g, results)
			}, alone: aloneFor - 1, expelled: 1},
		"statement after statement ends it": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return brokenBy(0, results)
			}, again: true, alone: aloneFor - 1},
		"its commit has failed": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return &stream.GroupOutcome{Undone: true, Begun: true, Checked: true, Results: results, Err: constraint("FOREIGN KEY")}
			}, again: true},
		"the transaction was taken away": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				results[2] = exec.StmtResult{Err: &exec.Error{Code: "TRANSACTION_TIMEOUT"}}
				for i := range results[3:] {
					results[3+i] = exec.StmtResult{}
				}
				return &stream.GroupOutcome{Undone: true, Begun: true, Checked: true, Results: results}
			}, again: true},
		"the schema is another": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return &stream.GroupOutcome{Undone: true, Begun: true, Results: make([]exec.StmtResult, len(results))}
			}, again: true},
		"it is locked for too long": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return &stream.GroupOutcome{Undone: true, Results: make([]exec.StmtResult, len(results)), Err: busy}
			}, again: true},
		"nobody knows": {
			commit: func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
				return &stream.GroupOutcome{Results: results, Err: &exec.Error{Code: "SQLITE_IOERR", Message: "disk I/O error"}}
			}, unknown: true},
		"it was refused unread": {
			fails: &exec.Error{Source: exec.FromServer, Status: 413, Proof: exec.NotExecuted}, again: true},
		"its connection broke": {
			fails: &exec.Error{Source: exec.FromTransport, Proof: exec.OutcomeUnknown, StreamLost: true}, unknown: true},
		"the server has version 2": {v2: true, again: true},
	} {
		bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
			f.commit, f.v2 = c.commit, c.v2
			if c.fails != nil {
				f.fails = func(r *sent) error {
					if r.kind == "group" {
						return c.fails
					}
					return nil
				}
			}
			breaker := known("breaker")
			hold(l, f)
			asks := groupOf(l, 6, map[int]text{2: breaker})
			for i, a := range asks {
				if <-a.done; c.unknown {
					var e *exec.Error
					if !errors.As(a.err, &e) || e.Proof != exec.OutcomeUnknown {
						t.Errorf("%s: write %d got %+v, %v", name, i, a.resp, a.err)
					}
					continue
				}
				sql := "w"
				if i == 2 {
					sql = "breaker"
				}
				a.gets(t, sql, i)
			}
			times := map[string]int{}
			for _, r := range f.log {
				if r.kind == "do" {
					times[fmt.Sprint(r.texts[0], r.args[0])]++
				}
			}
			want := 0
			if c.again {
				want = 1
			}
			for i := range asks {
				if i != 2 && times[fmt.Sprint("w", i)] != want {
					t.Errorf("%s: write %d ran %d times by itself, want %d", name, i, times[fmt.Sprint("w", i)], want)
				}
			}
			if got := breaker.note.Alone.Load(); got != c.alone {
				t.Errorf("%s: the breaker travels alone %d times, want %d", name, got, c.alone)
			}
			if c.v2 {
				for _, a := range append(hold(l, f), groupOf(l, 6, nil)...) {
					<-a.done
				}
				tries := 0
				for _, r := range f.log {
					if r.kind == "no group" {
						tries++
					}
				}
				if tries != 1 {
					t.Errorf("%s: a group was tried %d times", name, tries)
				}
				return
			}
			if c.expelled > 0 && strings.Count(f.kinds(), "group") != 2 {
				t.Errorf("%s: sent %s", name, f.kinds())
			}
			if n := l.Counters().Ungrouped; n != uint64(6*want+c.expelled) {
				t.Errorf("%s: %d counted as run one by one", name, n)
			}
		})
	}
}

// A group that finds the database locked is sent again as a group.
func TestALockedGroupIsSentAgain(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		tries := 0
		f.commit = func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
			if tries++; tries < 4 {
				return &stream.GroupOutcome{Undone: true, Results: make([]exec.StmtResult, len(results)),
					Err: &exec.Error{Code: "SQLITE_BUSY", Proof: exec.Failed}}
			}
			return &stream.GroupOutcome{Committed: true, Begun: true, Checked: true, Results: results}
		}
		hold(l, f)
		for i, a := range groupOf(l, 6, nil) {
			a.gets(t, "w", i)
		}
		if c := l.Counters(); c.Locked != 3 || c.Committed != 6 || c.Groups != 1 {
			t.Errorf("counted %+v", c)
		}
	})
	// And a write by itself.
	bubble(t, Config{}, func(t *testing.T, f *fake, l *Lanes) {
		tries := 0
		f.result = func(s *exec.Stmt) exec.StmtResult {
			if tries++; tries < 4 {
				return exec.StmtResult{Err: &exec.Error{Code: "SQLITE_BUSY", Proof: exec.Failed}}
			}
			return echo(s)
		}
		start(l, known("w").write(integer(1))).gets(t, "w", 1)
		if c := l.Counters(); c.Locked != 3 {
			t.Errorf("counted %+v", c)
		}
		f.set(func() { tries = -1e6 })
		a := start(l, known("w").write(integer(1)))
		if <-a.done; a.err != nil || !Locked(a.resp.Results[0].Err) {
			t.Errorf("a database that stays locked: %+v, %v", a.resp, a.err)
		}
	})
}

// A write waits in the queue until its group is let in, so who leaves before has
// sent nothing; who leaves after does not know.
func TestWhoLeavesAGroup(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		var passes []*Pass
		for range inServer {
			p, _ := l.gate.Enter(context.Background())
			passes = append(passes, p)
		}
		held := hold(l, f)
		asks := groupOf(l, 5, nil)
		for _, i := range []int{1, 3} {
			asks[i].cancel()
			if <-asks[i].done; asks[i].err.(*exec.Error).Proof != exec.NotExecuted {
				t.Errorf("who left before anything was sent got %v", asks[i].err)
			}
		}
		time.Sleep(f.took)
		if got := f.kinds(); got != "schema 0" {
			t.Fatalf("sent past the gate: %s", got)
		}
		for _, p := range passes {
			p.Leave()
		}
		synctest.Wait() // the group has left
		asks[4].cancel()
		if <-asks[4].done; asks[4].err.(*exec.Error).Proof != exec.OutcomeUnknown {
			t.Errorf("who left its group under way got %v", asks[4].err)
		}
		asks[0].gets(t, "w", 0)
		asks[2].gets(t, "w", 2)
		for _, a := range held {
			<-a.done
		}
		for _, r := range f.log {
			for _, n := range r.args {
				if n == 1 || n == 3 {
					t.Errorf("the write of somebody who had left was sent: %s", f.kinds())
				}
			}
		}
	})
}

// A group that nobody waits for any more goes on, and keeps its place at the gate
// until it has ended.
func TestAnAbandonedWriteKeepsItsPlace(t *testing.T) {
	for _, group := range []bool{false, true} {
		bubble(t, Config{GroupCommit: group}, func(t *testing.T, f *fake, l *Lanes) {
			f.took = time.Second
			var asks []*asked
			if group {
				for _, a := range hold(l, f) {
					defer a.cancel()
				}
				asks = groupOf(l, 4, nil)
				time.Sleep(2*f.took + time.Millisecond) // the schema is looked at before
			} else {
				asks = []*asked{start(l, known("w").write())}
			}
			synctest.Wait()
			before := l.gate.Busy()
			if before == 0 {
				t.Fatal("nothing is under way")
			}
			for _, a := range asks {
				a.cancel()
				<-a.done
				if e := a.err.(*exec.Error); e.Proof != exec.OutcomeUnknown {
					t.Errorf("got %v", a.err)
				}
			}
			synctest.Wait()
			if n := l.gate.Busy(); n != before {
				t.Errorf("%d places held, want %d", n, before)
			}
			time.Sleep(3 * time.Second)
			if n := l.gate.Busy(); n != 0 {
				t.Errorf("%d places held after all has ended", n)
			}
		})
	}
}

// A connection that breaks at the moment at which a context ends does not lose a
// place: nothing goes on then.
func TestABrokenWriteGivesItsPlaceBack(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fake, l *Lanes) {
		ctx, cancel := context.WithCancel(context.Background())
		f.fails = func(r *sent) error {
			cancel()
			return &exec.Error{Source: exec.FromTransport, Proof: exec.OutcomeUnknown, StreamLost: true, Err: errors.New("reset")}
		}
		if _, err := l.Do(ctx, known("w").write()); err == nil {
			t.Error("no error")
		}
		if n := l.gate.Busy(); n != 0 {
			t.Errorf("%d places held", n)
		}
	})
}

// A schema in which writes may not share is looked at again after a while, and one
// that has changed at once.
func TestTheSchemaIsLookedAtAgain(t *testing.T) {
	bubble(t, Config{GroupCommit: true}, func(t *testing.T, f *fake, l *Lanes) {
		looks := func() (n int) {
			for _, r := range f.log {
				if r.kind == "schema" {
					n++
				}
			}
			return n
		}
		round := func() {
			hold(l, f)
			for i, a := range groupOf(l, 3, nil) {
				a.gets(t, "w", i)
			}
			time.Sleep(time.Second)
		}
		for range 3 {
			round()
		}
		if looks() != 1 {
			t.Errorf("looked at %d times", looks())
		}
		f.commit = func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome {
			f.commit = nil
			return &stream.GroupOutcome{Undone: true, Begun: true, Results: make([]exec.StmtResult, len(results))}
		}
		round()
		round()
		if looks() != 2 {
			t.Errorf("looked at %d times after it has changed", looks())
		}
		f.fails = func(r *sent) error {
			if r.kind == "schema" {
				return &exec.Error{Source: exec.FromServer, Status: 500}
			}
			return nil
		}
		l.commits.schema.forget()
		for range 5 {
			hold(l, f)
			for i, a := range groupOf(l, 3, nil) {
				a.gets(t, "w", i)
			}
		}
		if looks() != 3 {
			t.Errorf("looked at %d times when that fails", looks())
		}
		time.Sleep(schemaRetry)
		round()
		if looks() != 4 {
			t.Errorf("looked at %d times, a while after that has failed", looks())
		}
	})
}
