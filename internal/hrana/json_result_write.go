package hrana

import (
	"fmt"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func appendJSONPipelineResp(dst []byte, resp *PipelineResp) ([]byte, error) {
	w := jsonWriter{b: dst}
	w.raw(`{"baton":`)
	w.optional(resp.Baton)
	w.raw(`,"base_url":`)
	w.optional(resp.BaseURL)
	w.raw(`,"results":[`)
	for i := range resp.Results {
		w.separate(i)
		if w.streamResult(&resp.Results[i]); w.err != nil {
			break
		}
	}
	w.raw("]}")
	return w.end(dst)
}

func (w *jsonWriter) streamResult(res *StreamResult) {
	if res.Err != nil {
		w.raw(`{"type":"error","error":`)
		w.error(res.Err)
		w.raw("}")
		return
	}
	name := res.Type.String()
	if name == "" {
		w.fail(fmt.Errorf("a response of type %d", res.Type))
		return
	}
	w.raw(`{"type":"ok","response":{"type":"`)
	w.raw(name)
	w.raw(`"`)
	switch {
	case res.Type == GetAutocommit:
		w.raw(`,"is_autocommit":`)
		w.bool(res.IsAutocommit)
	case res.Type == Execute && res.Stmt != nil:
		w.raw(`,"result":`)
		w.result(res.Stmt)
	case res.Type == BatchRequest && res.Batch != nil:
		w.raw(`,"result":`)
		w.batchResult(res.Batch)
	case res.Type == Describe && res.Describe != nil:
		w.raw(`,"result":`)
		w.describeInfo(res.Describe)
	case res.Type == Execute || res.Type == BatchRequest || res.Type == Describe:
		w.fail(fmt.Errorf("a response of type %s without a result", name))
	}
	w.raw("}}")
}

func (w *jsonWriter) error(e *Error) {
	if e == nil {
		w.raw("null")
		return
	}
	w.raw(`{"message":`)
	w.text(e.Message)
	w.raw(`,"code":`)
	w.optional(e.Code)
	if e.ExtendedCode != "" {
		w.raw(`,"extended_code":`)
		w.text(e.ExtendedCode)
	}
	w.raw("}")
}

func (w *jsonWriter) result(res *exec.Result) {
	w.raw(`{"cols":`)
	w.cols(res.Cols)
	w.raw(`,"rows":[`)
	for row := range res.Rows.Len() {
		w.separate(row)
		w.row(&res.Rows, row)
	}
	w.raw(`],"affected_row_count":`)
	w.int(res.RowsAffected)
	if res.LastInsertID == 0 {
		w.raw(`,"last_insert_rowid":null`)
	} else {
		w.raw(`,"last_insert_rowid":"`)
		w.int(res.LastInsertID)
		w.raw(`"`)
	}
	w.resultIndex(res.ReplicationIndex)
	w.raw(`,"rows_read":`)
	w.uint(res.RowsRead)
	w.raw(`,"rows_written":`)
	w.uint(res.RowsWritten)
	w.raw(`,"query_duration_ms":`)
	w.float(float64(res.ServerTime) / float64(time.Millisecond))
	w.raw("}")
}

// resultIndex appends the field that is there in every result.
func (w *jsonWriter) resultIndex(index uint64) {
	if index == 0 {
		w.raw(`,"replication_index":null`)
		return
	}
	w.replicationIndex(index)
}

func (w *jsonWriter) cols(cols []exec.Column) {
	w.raw("[")
	for i := range cols {
		w.separate(i)
		w.raw(`{"name":`)
		w.text(cols[i].Name)
		w.raw(`,"decltype":`)
		w.optional(cols[i].Decltype)
		w.raw("}")
	}
	w.raw("]")
}

func (w *jsonWriter) row(t *exec.Table, row int) {
	w.raw("[")
	for col := range t.Width() {
		w.separate(col)
		w.cell(t, row, col)
	}
	w.raw("]")
}

// batchResult appends as many results as errors, one of each for each step.
func (w *jsonWriter) batchResult(b *BatchResult) {
	steps := max(len(b.Steps), len(b.Errors))
	w.raw(`{"step_results":[`)
	for i := range steps {
		w.separate(i)
		if i < len(b.Steps) && b.Steps[i] != nil {
			w.result(b.Steps[i])
		} else {
			w.raw("null")
		}
	}
	w.raw(`],"step_errors":[`)
	for i := range steps {
		w.separate(i)
		if i < len(b.Errors) {
			w.error(b.Errors[i])
		} else {
			w.raw("null")
		}
	}
	w.raw("]")
	w.resultIndex(b.ReplicationIndex)
	w.raw("}")
}

func (w *jsonWriter) describeInfo(d *DescribeInfo) {
	w.raw(`{"params":[`)
	for i, name := range d.Params {
		w.separate(i)
		w.raw(`{"name":`)
		w.optional(name)
		w.raw("}")
	}
	w.raw(`],"cols":`)
	w.cols(d.Cols)
	w.raw(`,"is_explain":`)
	w.bool(d.IsExplain)
	w.raw(`,"is_readonly":`)
	w.bool(d.IsReadonly)
	w.raw("}")
}
