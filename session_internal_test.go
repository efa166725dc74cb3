package tursoopt

import (
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
	"github.com/turso-opt/turso-opt/internal/stream"
)

// The server tells once that it has taken a transaction away, and where several
// statements share a request, another may have failed before. What comes after must
// not autocommit, in a transaction that a text has begun neither.
func TestATransactionTakenAwayAfterAnotherFailure(t *testing.T) {
	text := sqltext.Parse("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)")
	for _, api := range []bool{true, false} {
		s := &session{tx: txOpen, api: api}
		_ = s.observe(&call{text: text}, &stream.Outcome{State: stream.Autocommit, Results: []exec.StmtResult{
			{Err: &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: "SQLITE_CONSTRAINT"}},
			{Err: &exec.Error{Source: exec.FromStatement, Proof: exec.Failed, Code: "TRANSACTION_TIMEOUT"}},
			{},
		}})
		if e := s.refuse(sqltext.Parse("INSERT INTO t VALUES (4)")); s.tx != txLost || e == nil || e.Code != exec.CodeTxLost {
			t.Errorf("api %v: the transaction is in state %v, and what comes next gets %v", api, s.tx, e)
		}
	}
}

// It may also take it away behind the last statement of a request, before it says
// whether it is open. No statement has failed then, and none has ended it.
func TestATransactionTakenAwayBehindAStatement(t *testing.T) {
	text := sqltext.Parse("INSERT INTO t VALUES (1)")
	for _, api := range []bool{true, false} {
		s := &session{tx: txOpen, api: api}
		_ = s.observe(&call{text: text}, &stream.Outcome{State: stream.Autocommit, Results: []exec.StmtResult{{Result: &exec.Result{}}}})
		if e := s.refuse(text); s.tx != txLost || e == nil || e.Code != exec.CodeTxLost {
			t.Errorf("api %v: the transaction is in state %v, and what comes next gets %v", api, s.tx, e)
		}
	}
}
