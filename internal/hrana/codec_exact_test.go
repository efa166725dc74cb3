package hrana

import (
	"fmt"
	"math"
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The exact functions give all that a message means as text, to be compared:
// nothing is left out, whatever it makes to read.

func exactValue(v exec.Value) string {
	switch v.Kind {
	case exec.Null:
		return "null"
	case exec.Integer:
		return fmt.Sprint(v.Int)
	case exec.Float:
		return fmt.Sprintf("float(%v %016x)", v.Float, math.Float64bits(v.Float))
	case exec.Text:
		return fmt.Sprintf("%q", v.Text)
	}
	return fmt.Sprintf("x'%x'", v.Blob)
}

func exactRow(t *exec.Table, row int) string {
	cells := make([]string, t.Width())
	for col := range cells {
		cells[col] = exactValue(t.Value(row, col))
	}
	return "[" + strings.Join(cells, " ") + "]"
}

func exactResult(r *exec.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cols %q affected %d rowid %d index %d read %d written %d took %s", r.Cols, r.RowsAffected, r.LastInsertID,
		r.ReplicationIndex, r.RowsRead, r.RowsWritten, r.ServerTime)
	if r.Rows.Width() != len(r.Cols) {
		fmt.Fprintf(&b, " WIDTH %d", r.Rows.Width())
	}
	for row := range r.Rows.Len() {
		fmt.Fprintf(&b, "\n    %s", exactRow(&r.Rows, row))
	}
	return b.String()
}

func exactError(e *Error) string { return fmt.Sprintf("error %q %q", e.Code, e.Message) }

func exactPipelineResp(resp *PipelineResp) string {
	var b strings.Builder
	fmt.Fprintf(&b, "baton %q url %q\n", resp.Baton, resp.BaseURL)
	for i := range resp.Results {
		res := &resp.Results[i]
		switch {
		case res.Err != nil:
			fmt.Fprintf(&b, "%s\n", exactError(res.Err))
			continue
		case res.Stmt != nil:
			fmt.Fprintf(&b, "%s: %s\n", res.Type, exactResult(res.Stmt))
		case res.Batch != nil:
			fmt.Fprintf(&b, "%s: index %d\n", res.Type, res.Batch.ReplicationIndex)
			for j, r := range res.Batch.Steps {
				if r != nil {
					fmt.Fprintf(&b, "  %d: %s\n", j, exactResult(r))
				}
			}
			for j, e := range res.Batch.Errors {
				if e != nil {
					fmt.Fprintf(&b, "  %d: %s\n", j, exactError(e))
				}
			}
		case res.Describe != nil:
			d := res.Describe
			fmt.Fprintf(&b, "%s: params %q cols %q explain %t readonly %t\n", res.Type, d.Params, d.Cols, d.IsExplain, d.IsReadonly)
		default:
			fmt.Fprintf(&b, "%s: autocommit %t\n", res.Type, res.IsAutocommit)
		}
	}
	return b.String()
}

func exactStmt(s *Stmt) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q id %d %t rows %t index %d", s.SQL, s.SQLID, s.HasSQLID, s.WantRows, s.ReplicationIndex)
	for _, v := range s.Args {
		b.WriteString(" " + exactValue(v))
	}
	for _, a := range s.Named {
		fmt.Fprintf(&b, " %q=%s", a.Name, exactValue(a.Value))
	}
	return b.String()
}

func exactCond(c *Cond) string {
	if c == nil {
		return "always"
	}
	s := fmt.Sprintf("%d %d(", c.Type, c.Step)
	for _, sub := range c.Conds {
		s += exactCond(sub) + ","
	}
	return s + ")"
}

func exactBatch(batch *Batch) string {
	s := fmt.Sprintf("index %d", batch.ReplicationIndex)
	for i := range batch.Steps {
		s += fmt.Sprintf("\n  if %s: %s", exactCond(batch.Steps[i].Cond), exactStmt(&batch.Steps[i].Stmt))
	}
	return s
}

func exactPipelineReq(req *PipelineReq) string {
	var b strings.Builder
	fmt.Fprintf(&b, "baton %q\n", req.Baton)
	for i := range req.Requests {
		r := &req.Requests[i]
		fmt.Fprintf(&b, "%s: sql %q id %d %t; stmt %s; batch %s\n", r.Type, r.SQL, r.SQLID, r.HasSQLID, exactStmt(&r.Stmt), exactBatch(&r.Batch))
	}
	return b.String()
}

// exactEntry leaves out what the entry's type does not name, since a decoder may
// leave it as it was.
func exactEntry(e *CursorEntry) string {
	switch e.Type {
	case StepBegin:
		return fmt.Sprintf("step %d begins with cols %q", e.Step, e.Cols)
	case StepEnd:
		return fmt.Sprintf("step ends with affected %d rowid %d", e.RowsAffected, e.LastInsertID)
	case StepError:
		return fmt.Sprintf("step %d: %s", e.Step, exactError(e.Err))
	case Row:
		return "row"
	case CursorError:
		return exactError(e.Err)
	case ReplicationIndexEntry:
		return fmt.Sprintf("index %d", e.ReplicationIndex)
	}
	return fmt.Sprintf("type %d", e.Type)
}
