package hrana

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// Like sqld, these leave out what is zero. Of a last_insert_rowid it does not
// say so if an INSERT left it at 0, which means the same to us.

// error appends an Error message as field num.
func (w *protoWriter) error(num protowire.Number, e *Error) {
	body := w.begin(num)
	w.someText(1, e.Message)
	w.someText(2, e.Code)
	w.close(body)
}

// stmtResult appends a StmtResult message as field num.
func (w *protoWriter) stmtResult(num protowire.Number, r *exec.Result) {
	if r.Rows.Len() > 0 && r.Rows.Width() != len(r.Cols) {
		w.fail(fmt.Errorf("StmtResult: rows of %d values under %d columns", r.Rows.Width(), len(r.Cols)))
		return
	}
	body := w.begin(num)
	w.cols(1, r.Cols)
	for row := range r.Rows.Len() {
		w.row(2, &r.Rows, row)
		if w.err != nil {
			w.err = fmt.Errorf("StmtResult: row %d: %w", row, w.err)
			return
		}
	}
	w.someUint64(3, uint64(r.RowsAffected))
	w.someSint64(4, r.LastInsertID)
	w.someUint64(5, r.ReplicationIndex)
	w.someUint64(6, r.RowsRead)
	w.someUint64(7, r.RowsWritten)
	if r.ServerTime != 0 {
		w.double(8, float64(r.ServerTime)/1e6)
	}
	w.close(body)
}

// cols appends Col messages, or DescribeCol messages, which are the same.
func (w *protoWriter) cols(num protowire.Number, cols []exec.Column) {
	for i := range cols {
		body := w.begin(num)
		w.text(1, cols[i].Name)
		w.someText(2, cols[i].Decltype)
		w.close(body)
	}
}

// batchResult appends a BatchResult message as field num.
func (w *protoWriter) batchResult(num protowire.Number, r *BatchResult) {
	body := w.begin(num)
	for step, result := range r.Steps {
		if result != nil {
			entry := w.mapEntry(1, step)
			w.stmtResult(2, result)
			w.close(entry)
		}
	}
	for step, err := range r.Errors {
		if err != nil {
			entry := w.mapEntry(2, step)
			w.error(2, err)
			w.close(entry)
		}
	}
	w.close(body)
}

func (w *protoWriter) mapEntry(num protowire.Number, key int) (body int) {
	body = w.begin(num)
	w.uint64(1, uint64(key))
	return body
}

// describeResult appends a DescribeResult message as field num.
func (w *protoWriter) describeResult(num protowire.Number, d *DescribeInfo) {
	body := w.begin(num)
	for _, name := range d.Params {
		param := w.begin(1)
		w.someText(1, name)
		w.close(param)
	}
	w.cols(2, d.Cols)
	if d.IsExplain {
		w.uint64(3, 1)
	}
	if d.IsReadonly {
		w.uint64(4, 1)
	}
	w.close(body)
}
