package hranatest

import (
	"os"
	"strings"
	"testing"
)

func TestAFileStays(t *testing.T) {
	path := t.TempDir() + "/my data?#%.db"
	s, err := Start(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	k := newTalk(t, s)
	k.must(executes(`create table t(a)`, `insert into t values(7)`, `begin`, `insert into t values(8)`))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + rest); err == nil {
			t.Errorf("%s was left behind", path+rest)
		}
	}
	s = NewServer(t, Options{Path: path})
	k = newTalk(t, s)
	if parts := k.say(executes(`select a from t`)); !strings.Contains(parts[2], `"replication_index": "string"`) {
		t.Error("a database that is not empty has no replication index")
	}
	if got := k.one("a", `select group_concat(a) from t`); got != "7" {
		t.Errorf("the file holds %s", got)
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	notADatabase := dir + "/text"
	if err := os.WriteFile(notADatabase, []byte(strings.Repeat("this is not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + "/no/such/dir/x.db", notADatabase} {
		s, err := Start(Options{Path: path})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
}

func TestMemoryIsNotShared(t *testing.T) {
	a, b := NewServer(t, Options{}), NewServer(t, Options{})
	newTalk(t, a).must(executes(`create table t(a)`))
	newTalk(t, b).must(executes(`create table t(a)`))
}

// A stream gets a connection that others have used; it must not show.
func TestConnectionsAreUsedAgainAsNew(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	k.must(executes(`create table t(a integer primary key)`, `insert into t values(41)`, `insert into t values(42)`, `pragma user_version=3`, `savepoint x`))
	k.must(pipeline(`{"type":"close"}`))
	k.must(executes(`pragma foreign_keys=off`, `begin`, `delete from t`))
	k.must(pipeline(`{"type":"close"}`))
	if n := len(s.engine.idle); n != 0 {
		t.Errorf("%d connections are kept, with settings of their last user", n)
	}
	k.must(executes(`insert into t values(43)`))
	k.must(pipeline(`{"type":"close"}`))
	if n := len(s.engine.idle); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
	for sql, want := range map[string]string{
		`select last_insert_rowid()`: "0", `select changes()`: "0", `select total_changes()`: "0",
		`pragma foreign_keys`: "1", `select count(*) from t`: "3", `pragma user_version`: "3",
	} {
		if got := k.one("new", sql); got != want {
			t.Errorf("%s is %s, want %s", sql, got, want)
		}
	}
	if n := s.Stats().Opened; n != 4 {
		t.Errorf("%d streams were opened", n)
	}
}

func TestTheIndexMovesWithEveryCommit(t *testing.T) {
	s := NewServer(t, Options{})
	k := newTalk(t, s)
	last := s.replicationIndex()
	for _, c := range []struct {
		says  exchange
		moves bool
	}{
		{executes(`create table t(a unique)`), true}, {executes(`select * from t`), false}, {executes(`insert into t values(1)`), true},
		{executes(`insert into t values(1)`), false}, {executes(`begin`, `insert into t values(2)`), false}, {executes(`rollback`), false},
		{executes(`begin`, `insert into t values(2)`), false}, {executes(`commit`), true}, {executes(`pragma user_version=2`), true},
	} {
		k.say(c.says)
		now := s.replicationIndex()
		if moved := now != last; moved != c.moves || now < last {
			t.Errorf("%s: from %d to %d", c.says.body, last, now)
		}
		last = now
	}
}
