package hrana

import (
	"math"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The generators make messages of every kind. Texts aim at what an encoding must treat specially, at every
// distance from the start, because JSON is scanned by eight bytes at once.

var genText = rapid.OneOf(
	rapid.String(),
	rapid.Custom(func(t *rapid.T) string {
		special := rapid.SampledFrom([]string{"\x00", "\x1f", "\x7f", `"`, `\`, "\n", "\r\n", "\t", "\b\f", "\u0080", "\u2028\u2029", "\ufffd", "\uffff", "😀", "</script>"})
		plain := rapid.SampledFrom([]string{"", "a", "abcdefg", "abcdefgh", "0123456789abcdef"})
		return plain.Draw(t, "before") + special.Draw(t, "special") + plain.Draw(t, "after")
	}),
	rapid.SampledFrom([]string{"", `}]]`, `[[{"type":"text"}]]`, strings.Repeat("x", 5000), strings.Repeat("\\", 300), "null"}),
)

var genInt = rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, -1, math.MinInt64, math.MaxInt64}))

var genFloat = rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
	0, math.Copysign(0, -1), 1, 1e15, 1e16, 1e21, 1e22, 1e-7, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0.1, 1 << 53,
}))

var genValue = rapid.Custom(func(t *rapid.T) exec.Value {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 1:
		return exec.Value{Kind: exec.Integer, Int: genInt.Draw(t, "int")}
	case 2:
		return exec.Value{Kind: exec.Float, Float: genFloat.Draw(t, "float")}
	case 3:
		return exec.Value{Kind: exec.Text, Text: genText.Draw(t, "text")}
	case 4:
		return exec.Value{Kind: exec.Blob, Blob: rapid.SliceOf(rapid.Byte()).Draw(t, "blob")}
	}
	return exec.Value{}
})

var genColumns = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) exec.Column {
	return exec.Column{Name: genText.Draw(t, "name"), Decltype: rapid.SampledFrom([]string{"", "INTEGER", "VARCHAR(10)"}).Draw(t, "decltype")}
}), 0, 20)

var genIndex = rapid.SampledFrom([]uint64{0, 1, math.MaxUint64})

var genResult = rapid.Custom(func(t *rapid.T) *exec.Result {
	r := &exec.Result{
		Cols:             genColumns.Draw(t, "cols"),
		RowsAffected:     rapid.Int64Min(0).Draw(t, "affected"),
		LastInsertID:     genInt.Draw(t, "rowid"),
		RowsRead:         rapid.Uint64().Draw(t, "read"),
		RowsWritten:      rapid.Uint64().Draw(t, "written"),
		ServerTime:       time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "took")),
		ReplicationIndex: genIndex.Draw(t, "index"),
	}
	r.Rows.Reset(len(r.Cols))
	for range rapid.IntRange(0, 5).Draw(t, "rows") {
		for range r.Cols {
			r.Rows.AppendValue(genValue.Draw(t, "cell"))
		}
		r.Rows.EndRow()
	}
	return r
})

var genError = rapid.Custom(func(t *rapid.T) *Error {
	return &Error{Message: genText.Draw(t, "message"), Code: genText.Draw(t, "code")}
})

var genTexts = rapid.SliceOf(genText)

var genStreamResult = rapid.Custom(func(t *rapid.T) StreamResult {
	res := StreamResult{Type: RequestType(rapid.IntRange(0, int(GetAutocommit)).Draw(t, "type"))}
	switch res.Type {
	case 0:
		res.Err = genError.Draw(t, "error")
	case Execute:
		res.Stmt = genResult.Draw(t, "result")
	case BatchRequest:
		res.Batch = &BatchResult{}
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			var r *exec.Result
			var e *Error
			switch rapid.IntRange(0, 2).Draw(t, "outcome") {
			case 1:
				r = genResult.Draw(t, "result")
			case 2:
				e = genError.Draw(t, "error")
			}
			res.Batch.Steps, res.Batch.Errors = append(res.Batch.Steps, r), append(res.Batch.Errors, e)
		}
	case Describe:
		res.Describe = &DescribeInfo{Params: genTexts.Draw(t, "params"), Cols: genColumns.Draw(t, "cols"),
			IsExplain: rapid.Bool().Draw(t, "explain"), IsReadonly: rapid.Bool().Draw(t, "readonly")}
	case GetAutocommit:
		res.IsAutocommit = rapid.Bool().Draw(t, "autocommit")
	}
	return res
})

var genPipelineResp = rapid.Custom(func(t *rapid.T) *PipelineResp {
	return &PipelineResp{Baton: genText.Draw(t, "baton"), BaseURL: genText.Draw(t, "url"),
		Results: rapid.SliceOfN(genStreamResult, 0, 5).Draw(t, "results")}
})

var genStmt = rapid.Custom(func(t *rapid.T) Stmt {
	s := Stmt{
		Args:             rapid.SliceOfN(genValue, 0, 5).Draw(t, "args"),
		WantRows:         rapid.Bool().Draw(t, "rows"),
		ReplicationIndex: genIndex.Draw(t, "index"),
		HasSQLID:         rapid.Bool().Draw(t, "stored"),
	}
	if s.HasSQLID {
		s.SQLID = rapid.Int32().Draw(t, "id")
	} else {
		s.SQL = genText.Draw(t, "sql")
	}
	for range rapid.IntRange(0, 3).Draw(t, "named") {
		s.Named = append(s.Named, NamedArg{genText.Draw(t, "name"), genValue.Draw(t, "value")})
	}
	return s
})

func genCond(depth int) *rapid.Generator[*Cond] {
	return rapid.Custom(func(t *rapid.T) *Cond {
		last := CondIsAutocommit
		if depth == 0 {
			last = CondError
		}
		c := &Cond{Type: CondType(rapid.IntRange(1, int(last)).Draw(t, "type"))}
		switch c.Type {
		case CondOK, CondError:
			c.Step = rapid.Uint32().Draw(t, "step")
		case CondNot:
			c.Conds = []*Cond{genCond(depth-1).Draw(t, "cond")}
		case CondAnd, CondOr:
			c.Conds = rapid.SliceOfN(genCond(depth-1), 0, 3).Draw(t, "conds")
		}
		return c
	})
}

var genBatch = rapid.Custom(func(t *rapid.T) Batch {
	b := Batch{ReplicationIndex: genIndex.Draw(t, "index")}
	for range rapid.IntRange(0, 4).Draw(t, "steps") {
		step := BatchStep{Stmt: genStmt.Draw(t, "stmt")}
		if rapid.Bool().Draw(t, "conditional") {
			step.Cond = genCond(3).Draw(t, "cond")
		}
		b.Steps = append(b.Steps, step)
	}
	return b
})

var genPipelineReq = rapid.Custom(func(t *rapid.T) *PipelineReq {
	req := &PipelineReq{Baton: genText.Draw(t, "baton")}
	for range rapid.IntRange(0, 4).Draw(t, "requests") {
		r := StreamReq{Type: RequestType(rapid.IntRange(1, int(GetAutocommit)).Draw(t, "type"))}
		switch r.Type {
		case Execute:
			r.Stmt = genStmt.Draw(t, "stmt")
		case BatchRequest:
			r.Batch = genBatch.Draw(t, "batch")
		case Sequence, Describe:
			if r.HasSQLID = rapid.Bool().Draw(t, "stored"); r.HasSQLID {
				r.SQLID = rapid.Int32().Draw(t, "id")
			} else {
				r.SQL = genText.Draw(t, "sql")
			}
		case StoreSQL:
			r.SQLID, r.SQL = rapid.Int32().Draw(t, "id"), genText.Draw(t, "sql")
		case CloseSQL:
			r.SQLID = rapid.Int32().Draw(t, "id")
		}
		req.Requests = append(req.Requests, r)
	}
	return req
})

var genEntry = rapid.Custom(func(t *rapid.T) *CursorEntry {
	e := &CursorEntry{Type: EntryType(rapid.IntRange(1, int(ReplicationIndexEntry)).Draw(t, "type"))}
	switch e.Type {
	case StepBegin:
		e.Step, e.Cols = rapid.Uint32().Draw(t, "step"), genColumns.Draw(t, "cols")
	case StepEnd:
		e.RowsAffected, e.LastInsertID = rapid.Int64Min(0).Draw(t, "affected"), genInt.Draw(t, "rowid")
	case StepError:
		e.Step, e.Err = rapid.Uint32().Draw(t, "step"), genError.Draw(t, "error")
	case CursorError:
		e.Err = genError.Draw(t, "error")
	case ReplicationIndexEntry:
		e.ReplicationIndex = rapid.Uint64Min(1).Draw(t, "index")
	}
	return e
})
