package hranatest

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// waiting blocks until n writers wait at the gate.
func (s *Server) waiting(n int) {
	for {
		s.engine.gate.mu.Lock()
		got := len(s.engine.gate.queue)
		s.engine.gate.mu.Unlock()
		if got == n {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func TestWritersQueueInOrder(t *testing.T) {
	for _, where := range []string{"memory", "file"} {
		t.Run(where, func(t *testing.T) {
			s := NewServer(t, inside(t, where, Options{}))
			k := newTalk(t, s)
			k.must(executes(`create table t(a)`, `begin immediate`, `insert into t values(0)`))
			var wg sync.WaitGroup
			for i := 1; i <= 5; i++ {
				wg.Go(func() { newTalk(t, s).must(executes(`insert into t values(` + itoa(i) + `)`)) })
				s.waiting(i)
			}
			// Nobody waits to read, and what is not committed is not seen.
			if got := k.one("reader", `select count(*) from t`); got != "0" {
				t.Errorf("a reader saw %s rows", got)
			}
			k.must(executes(`commit`))
			wg.Wait()
			if got := k.one("reader", `select group_concat(a) from (select a from t order by rowid)`); got != "0,1,2,3,4,5" {
				t.Errorf("the rows came as %s", got)
			}
		})
	}
}

// inside is o with a database of the given sort.
func inside(t testing.TB, where string, o Options) Options {
	if where == "file" {
		o.Path = t.TempDir() + "/x.db"
	}
	return o
}

func TestATransactionThatWillWriteWaitsToo(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin`, `insert into t values(1)`))
	k.must(executes(`begin`, `select * from t`).on("reader"))
	done := make(chan string)
	go func() {
		other := newTalk(t, s)
		other.batons["reader"] = k.batons["reader"]
		parts := other.say(executes(`insert into t values(2)`, `rollback`).on("reader"))
		done <- parts[2]
	}()
	s.waiting(1)
	k.must(executes(`commit`))
	// Its snapshot is older than what has been committed meanwhile.
	if part := <-done; !strings.Contains(part, "SQLITE_BUSY") {
		t.Error(part)
	}
	k.must(executes(`insert into t values(3)`))
}

func TestAWriterThatIsRefusedLeavesTheGate(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a unique)`, `insert into t values(1)`))
	k.say(executes(`insert into t values(1)`, `insert into t values(?)`, `select abs(-9223372036854775808)`))
	k.must(executes(`insert into t values(2)`).on("b"))
	k.must(executes(`begin`))
	k.say(executes(`insert into t values(1)`))
	k.must(executes(`rollback`))
	k.must(executes(`insert into t values(3)`).on("b"))
}

func TestAnOldTransactionIsTakenAwayByTheNextWriter(t *testing.T) {
	s := NewServer(t, Options{TxTimeout: time.Millisecond})
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `begin`, `insert into t values(1)`))
	began := time.Now()
	k.must(executes(`insert into t values(2)`).on("b"))
	if took := time.Since(began); took >= DefaultTxTimeout {
		t.Errorf("it waits %v", took)
	}
	k.wants(executes(`commit`), "TRANSACTION_TIMEOUT")
	k.wants(executes(`commit`), "no transaction is active")
	if got := k.one("b", `select group_concat(a) from t`); got != "2" {
		t.Errorf("the table holds %s", got)
	}
}

// Increments in transactions that read first are lost if two writers can be
// inside at once, or if a snapshot is mixed.
func TestIncrements(t *testing.T) {
	for _, where := range []string{"memory", "file"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := NewServer(t, inside(t, where, Options{TxTimeout: time.Minute}))
			newTalk(t, s).must(executes(`create table t(a, b)`, `insert into t values(0, 0)`))
			const writers, each = 16, 20
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range writers {
				wg.Go(func() {
					k := newTalk(t, s)
					for range each {
						k.must(executes(`begin immediate`, `update t set a=a+1`))
						k.must(executes(`update t set b=b+1`, `commit`))
					}
				})
			}
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					k := newTalk(t, s)
					for {
						select {
						case <-stop:
							return
						default:
						}
						if got := k.one("a", `select a=b from t`); got != "1" {
							t.Error("a reader saw half of a transaction")
							return
						}
					}
				})
			}
			wg.Wait()
			close(stop)
			readers.Wait()
			if got := newTalk(t, s).one("a", `select a||' '||b from t`); got != "320 320" {
				t.Errorf("counted to %s", got)
			}
		})
	}
}
