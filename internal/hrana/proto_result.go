package hrana

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// maxStepGaps bounds how many skipped steps the batch results of one response
// may imply, besides one for each byte of it. These results are maps, in which a
// few bytes name any step up to 4 billion. A batch of so many steps of which the
// last alone was executed is more than a server takes.
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
		r.Cols, err = protoCols(slices.Clone(b[shape.from:shape.to]), 1)
	}
	f := protoFields{rest: b, err: err}
	for f.next() {
		switch f.num {
		case 2:
			f.fail(protoRow(&r.Rows, f.message()))
		case 3:
			r.RowsAffected = f.uint63()
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
	return r, inMessage("StmtResult", f.err)
}

// protoShape is what a first look at a StmtResult tells, so that its memory is
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
			cells, payload := protoRowSize(f.message())
			s.cells, s.payload = s.cells+cells, s.payload+payload
		}
	}
	return s, f.err
}

// protoDuration reads milliseconds. What is no duration counts as unknown, and so
// does what exceeds 26 days, beyond which a float64 of milliseconds does not tell
// one nanosecond from the next.
func protoDuration(ms float64) time.Duration {
	if ns := math.Round(ms * 1e6); ns > 0 && ns < 1<<51 {
		return time.Duration(ns)
	}
	return 0
}

// protoCols decodes the Col or DescribeCol messages that stand in b as fields of
// the given number. The names share b's memory: it must never be written again.
func protoCols(b []byte, num protowire.Number) ([]exec.Column, error) {
	f := protoFields{rest: b}
	cols := slices.Grow([]exec.Column(nil), f.count(num))
	for f.next() {
		if f.num != num {
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

// shared is a string field that shares the message's memory.
func (f *protoFields) shared() string {
	b := f.message()
	if !utf8.Valid(b) {
		f.fail(fmt.Errorf("field %d: %w", f.num, errProtoText))
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// protoBatchResult decodes a BatchResult, of which sqld, in this encoding, sends
// no replication index. gaps is what maxStepGaps leaves of it.
func protoBatchResult(b []byte, gaps *int) (*BatchResult, error) {
	f := protoFields{rest: b}
	r := new(BatchResult)
	r.Steps = slices.Grow(r.Steps, f.count(1))
	r.Errors = slices.Grow(r.Errors, f.count(2))
	for f.next() {
		if f.num != 1 && f.num != 2 {
			continue
		}
		step, value, err := protoMapEntry(f.message())
		switch {
		case err != nil:
		case f.num == 1:
			err = protoStep(&r.Steps, step, value, gaps, protoStmtResult)
		default:
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

// protoStep puts what one step gave in its place.
func protoStep[T any](steps *[]*T, step uint32, b []byte, gaps *int, decode func([]byte) (*T, error)) error {
	if gap := int64(step) - int64(len(*steps)); gap >= 0 {
		if gap > int64(*gaps) {
			return errors.New("there is no batch of so many steps")
		}
		*gaps -= int(gap)
		*steps = append(*steps, make([]*T, gap+1)...)
	}
	v, err := decode(b)
	(*steps)[step] = v
	return err
}

func protoDescribeResult(b []byte) (*DescribeInfo, error) {
	b = slices.Clone(b)
	d := new(DescribeInfo)
	f := protoFields{rest: b}
	d.Params = slices.Grow(d.Params, f.count(1))
	for f.next() {
		switch f.num {
		case 1:
			var name string
			param := protoFields{rest: f.message()}
			for param.next() {
				if param.num == 1 {
					name = param.shared()
				}
			}
			f.fail(inMessage("DescribeParam", param.err))
			d.Params = append(d.Params, name)
		case 3:
			d.IsExplain = f.bool()
		case 4:
			d.IsReadonly = f.bool()
		}
	}
	cols, err := protoCols(b, 2)
	d.Cols = cols
	f.fail(err)
	return d, inMessage("DescribeResult", f.err)
}
