package hrana

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// maxStepGaps bounds how many skipped steps the batch results of one response
// may stand for, besides one for each byte of it. The results of a batch are a
// map, in which a few bytes name any step up to 4 billion; a batch of this many
// steps whose last one alone was executed is far from what a server takes.
const maxStepGaps = 1 << 18

func protoError(b []byte) (*Error, error) {
	e := new(Error)
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			e.Message = f.text()
		case 2:
			e.Code = f.text()
		}
	}
	return e, inMessage("Error", f.err)
}

// protoShape is what a first look at a StmtResult tells, so that memory is
// allocated once and at its final size.
type protoShape struct {
	cols           int
	from, to       int // where the columns are
	cells, payload int
}

func protoResultShape(b []byte) (s protoShape, err error) {
	f := protoFields{rest: b}
	for at := 0; f.next(); at = len(b) - len(f.rest) {
		switch f.num {
		case 1:
			if s.cols == 0 {
				s.from = at
			}
			s.cols++
			s.to = len(b) - len(f.rest)
		case 2:
			if f.typ == 2 {
				cells, payload := protoRowSize(f.b)
				s.cells, s.payload = s.cells+cells, s.payload+payload
			}
		}
	}
	return s, f.err
}

func protoStmtResult(b []byte) (*exec.Result, error) {
	shape, err := protoResultShape(b)
	if err != nil {
		return nil, inMessage("StmtResult", err)
	}
	r := new(exec.Result)
	r.Rows.Reset(shape.cols)
	if shape.cells > 0 {
		r.Rows.Grow(shape.cells, shape.payload)
	}
	if shape.cols > 0 {
		r.Cols, err = protoCols(b[shape.from:shape.to], 1, shape.cols)
	}
	f := protoFields{rest: b, err: err}
	for f.next() {
		switch f.num {
		case 2:
			f.fail(protoRow(&r.Rows, f.message()))
		case 3:
			r.RowsAffected = f.count()
		case 4:
			r.LastInsertID = f.sint64()
		case 5:
			r.ReplicationIndex = f.uint64()
		case 6:
			r.RowsRead = f.uint64()
		case 7:
			r.RowsWritten = f.uint64()
		case 8:
			r.ServerTime = protoDuration(f.double())
		}
	}
	if f.err != nil {
		return nil, inMessage("StmtResult", f.err)
	}
	return r, nil
}

// protoDuration reads milliseconds; what is no duration counts as unknown.
func protoDuration(ms float64) time.Duration {
	if ns := math.Round(ms * 1e6); ns > 0 && ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return 0
}

// protoCols decodes n Col or DescribeCol messages, which stand in b as fields of
// the given number. All names share one copy of b.
func protoCols(b []byte, num int, n int) ([]exec.Column, error) {
	cols := make([]exec.Column, 0, n)
	f := protoFields{rest: slices.Clone(b)}
	for f.next() {
		if int(f.num) != num {
			continue
		}
		var c exec.Column
		col := protoFields{rest: f.message()}
		for col.next() {
			switch col.num {
			case 1:
				c.Name = col.shared()
			case 2:
				c.Decltype = col.shared()
			}
		}
		f.fail(inMessage("Col", col.err))
		cols = append(cols, c)
	}
	return cols, f.err
}

// shared is a string field as it stands in the message, which must never change.
func (f *protoFields) shared() string {
	b := f.message()
	if !utf8.Valid(b) {
		f.fail(fmt.Errorf("field %d: %w", f.num, errProtoText))
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func protoBatchResult(b []byte, gaps *int) (*BatchResult, error) {
	r := new(BatchResult)
	results, errs := 0, 0
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			results++
		case 2:
			errs++
		}
	}
	if f.err == nil {
		r.Steps, r.Errors = make([]*exec.Result, 0, results), make([]*Error, 0, errs)
	}
	f.rest = b
	for f.next() {
		if f.num != 1 && f.num != 2 {
			continue
		}
		step, value, err := protoMapEntry(f.message())
		if err == nil && f.num == 1 {
			err = protoStep(&r.Steps, step, value, gaps, protoStmtResult)
		} else if err == nil {
			err = protoStep(&r.Errors, step, value, gaps, protoError)
		}
		if err != nil {
			f.fail(fmt.Errorf("step %d: %w", step, err))
		}
	}
	return r, inMessage("BatchResult", f.err)
}

func protoMapEntry(b []byte) (step uint32, value []byte, err error) {
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			step = f.uint32()
		case 2:
			value = f.message()
		}
	}
	return step, value, f.err
}

// protoStep puts one step's message in its place among those of its batch.
func protoStep[T any](steps *[]*T, step uint32, b []byte, gaps *int, decode func([]byte) (*T, error)) error {
	v, err := decode(b)
	if err != nil {
		return err
	}
	if missing := int(step) - len(*steps) + 1; missing > 0 {
		if *gaps -= missing - 1; *gaps < 0 {
			return fmt.Errorf("far beyond the steps of any batch")
		}
		*steps = append(*steps, make([]*T, missing)...)
	}
	(*steps)[step] = v
	return nil
}

func protoDescribeResult(b []byte) (*DescribeInfo, error) {
	d := new(DescribeInfo)
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			var name string
			param := protoFields{rest: f.message()}
			for param.next() {
				if param.num == 1 {
					name = param.text()
				}
			}
			f.fail(inMessage("DescribeParam", param.err))
			d.Params = append(d.Params, name)
		case 2:
			var c exec.Column
			col := protoFields{rest: f.message()}
			for col.next() {
				switch col.num {
				case 1:
					c.Name = col.text()
				case 2:
					c.Decltype = col.text()
				}
			}
			f.fail(inMessage("DescribeCol", col.err))
			d.Cols = append(d.Cols, c)
		case 3:
			d.IsExplain = f.bool()
		case 4:
			d.IsReadonly = f.bool()
		}
	}
	return d, inMessage("DescribeResult", f.err)
}
