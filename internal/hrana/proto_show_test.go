package hrana

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// What follows shows messages as text, one line for each result or entry, so
// that expectations are readable and compared whole.

func showValue(v exec.Value) string {
	switch v.Kind {
	case exec.Null:
		return "null"
	case exec.Integer:
		return fmt.Sprint(v.Int)
	case exec.Float:
		return fmt.Sprintf("float %v", v.Float)
	case exec.Text:
		return fmt.Sprintf("%q", v.Text)
	}
	return fmt.Sprintf("x'%x'", v.Blob)
}

func showRow(t *exec.Table, row int) string {
	cells := make([]string, t.Width())
	for col := range cells {
		cells[col] = showValue(t.Value(row, col))
	}
	return "(" + strings.Join(cells, ", ") + ")"
}

func showCols(cols []exec.Column) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = strings.TrimSpace(c.Name + " " + c.Decltype)
	}
	return "[" + strings.Join(names, "|") + "]"
}

func showStmtResult(r *exec.Result) string {
	if r == nil {
		return "skipped"
	}
	var b strings.Builder
	b.WriteString(showCols(r.Cols))
	for row := range r.Rows.Len() {
		b.WriteString(" " + showRow(&r.Rows, row))
	}
	for _, f := range []struct {
		name  string
		value any
		zero  bool
	}{
		{"affected", r.RowsAffected, r.RowsAffected == 0},
		{"rowid", r.LastInsertID, r.LastInsertID == 0},
		{"read", r.RowsRead, r.RowsRead == 0},
		{"written", r.RowsWritten, r.RowsWritten == 0},
		{"index", r.ReplicationIndex, r.ReplicationIndex == 0},
		{"took", r.ServerTime, r.ServerTime == 0},
	} {
		if !f.zero {
			fmt.Fprintf(&b, " %s %v", f.name, f.value)
		}
	}
	return b.String()
}

func showBatchResult(r *BatchResult) string {
	var b strings.Builder
	for i := range max(len(r.Steps), len(r.Errors)) {
		fmt.Fprintf(&b, "\n\t%d: ", i)
		switch {
		case i < len(r.Errors) && r.Errors[i] != nil:
			b.WriteString(r.Errors[i].Code + " " + r.Errors[i].Message)
		case i < len(r.Steps):
			b.WriteString(showStmtResult(r.Steps[i]))
		default:
			b.WriteString("skipped")
		}
	}
	return b.String()
}

func showResult(r *StreamResult) string {
	if r.Err != nil {
		return "error " + r.Err.Code + " " + r.Err.Message
	}
	switch r.Type {
	case Close:
		return "close"
	case Execute:
		return "execute " + showStmtResult(r.Stmt)
	case BatchRequest:
		return "batch" + showBatchResult(r.Batch)
	case Sequence:
		return "sequence"
	case Describe:
		d := r.Describe
		return fmt.Sprintf("describe %q %s explain %v readonly %v", d.Params, showCols(d.Cols), d.IsExplain, d.IsReadonly)
	case StoreSQL:
		return "store_sql"
	case CloseSQL:
		return "close_sql"
	case GetAutocommit:
		return fmt.Sprint("get_autocommit ", r.IsAutocommit)
	}
	return "nothing"
}

func showResp(resp *PipelineResp) string {
	var b strings.Builder
	if resp.Baton != "" {
		b.WriteString("baton " + resp.Baton + "\n")
	}
	if resp.BaseURL != "" {
		b.WriteString("base " + resp.BaseURL + "\n")
	}
	for i := range resp.Results {
		b.WriteString(showResult(&resp.Results[i]) + "\n")
	}
	return b.String()
}

// showEntry shows what the entry's type names; t is the table that a row was
// appended to.
func showEntry(e *CursorEntry, t *exec.Table) string {
	switch e.Type {
	case StepBegin:
		return fmt.Sprintf("begin %d %s", e.Step, showCols(e.Cols))
	case StepEnd:
		return fmt.Sprintf("end affected %d rowid %d", e.RowsAffected, e.LastInsertID)
	case StepError:
		return fmt.Sprintf("error %d %s %s", e.Step, e.Err.Code, e.Err.Message)
	case Row:
		return "row " + showRow(t, t.Len()-1)
	case CursorError:
		return "broken " + e.Err.Code + " " + e.Err.Message
	case ReplicationIndexEntry:
		return fmt.Sprint("index ", e.ReplicationIndex)
	}
	return "nothing"
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
