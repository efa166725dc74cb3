package hrana

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// nextJSONMessage reads one line.
func nextJSONMessage(r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	for buf = buf[:0]; ; {
		part, err := r.ReadSlice('\n')
		whole := err == nil
		if whole {
			part = part[:len(part)-1]
		}
		if len(part) > limit-len(buf) {
			return nil, fmt.Errorf("hrana: a line of JSON above the limit of %d bytes", limit)
		}
		buf = append(buf, part...)
		switch {
		case whole:
			return buf, nil
		case err == io.EOF && len(buf) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

func appendJSONCursorReq(dst []byte, req *CursorReq) ([]byte, error) {
	w := jsonWriter{b: dst}
	w.raw("{")
	w.baton(req.Baton)
	w.raw(`"batch":`)
	w.batch(&req.Batch)
	w.raw("}")
	return w.end(dst)
}

func appendJSONCursorResp(dst []byte, resp *CursorResp) ([]byte, error) {
	w := jsonWriter{b: dst}
	w.raw(`{"baton":`)
	w.optional(resp.Baton)
	w.raw(`,"base_url":`)
	w.optional(resp.BaseURL)
	w.raw("}\n")
	return w.end(dst)
}

func decodeJSONCursorResp(msg []byte, resp *CursorResp) error {
	*resp = CursorResp{}
	r := jsonReader{data: msg}
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "baton":
			resp.Baton, have = r.text(), true
		case "base_url":
			resp.BaseURL = r.text()
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("the beginning of a cursor without a baton")
	}
	return r.end()
}

func appendJSONCursorEntry(dst []byte, e *CursorEntry, t *exec.Table, row int) ([]byte, error) {
	w := jsonWriter{b: dst}
	if (e.Type == StepError || e.Type == CursorError) && e.Err == nil {
		w.fail(errors.New("an error entry without the error"))
	}
	switch e.Type {
	case StepBegin:
		w.raw(`{"type":"step_begin","step":`)
		w.uint(uint64(e.Step))
		w.raw(`,"cols":`)
		w.cols(e.Cols)
	case StepEnd:
		w.raw(`{"type":"step_end","affected_row_count":`)
		w.int(e.RowsAffected)
		// A number, where the specification and a pipeline's answer have a string;
		// so it is in sqld, and likewise the replication index.
		if w.raw(`,"last_insert_rowid":`); e.LastInsertID == 0 {
			w.raw("null")
		} else {
			w.int(e.LastInsertID)
		}
	case StepError:
		w.raw(`{"type":"step_error","step":`)
		w.uint(uint64(e.Step))
		w.raw(`,"error":`)
		w.error(e.Err)
	case Row:
		w.raw(`{"type":"row","row":`)
		w.row(t, row)
	case CursorError:
		w.raw(`{"type":"error","error":`)
		w.error(e.Err)
	case ReplicationIndexEntry:
		w.raw(`{"type":"replication_index","replication_index":`)
		if e.ReplicationIndex == 0 {
			w.raw("null")
		} else {
			w.uint(e.ReplicationIndex)
		}
	default:
		w.fail(fmt.Errorf("a cursor entry of type %d", e.Type))
	}
	w.raw("}\n")
	return w.end(dst)
}

// decodeJSONCursorEntry takes no entry of a type it does not know: there could
// be rows in it.
func decodeJSONCursorEntry(msg []byte, e *CursorEntry, t *exec.Table) error {
	*e = CursorEntry{}
	r := jsonReader{data: msg}
	var read CursorEntry
	haveCols, rows, late := false, 0, -1
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			kind := r.plainText()
			if read.Type = entryType(kind); read.Type == 0 {
				r.unknown("a cursor entry", kind)
			}
		case "row":
			rows++
			if read.Type == Row && rows == 1 {
				r.row(t)
			} else {
				late = r.later()
			}
		case "step":
			read.Step = small[uint32](&r)
		case "cols":
			read.Cols, haveCols = r.cols(), true
		case "affected_row_count":
			read.RowsAffected = r.integer()
		case "last_insert_rowid":
			read.LastInsertID = r.integer()
		case "error":
			read.Err = r.error()
		case "replication_index":
			read.ReplicationIndex = r.unsigned()
		default:
			r.skip()
		}
	}
	e.Type = read.Type
	switch {
	case e.Type == 0:
		r.fail("a cursor entry without a type")
	case e.Type == Row && rows != 1:
		r.fail("a row entry with %d rows", rows)
	case e.Type == Row && late >= 0:
		r.revisit(late, func() { r.row(t) })
	case e.Type == StepBegin && !haveCols:
		r.fail("the beginning of a step without its columns")
	case e.Type == StepBegin:
		e.Step, e.Cols = read.Step, read.Cols
	case e.Type == StepEnd:
		e.RowsAffected, e.LastInsertID = read.RowsAffected, read.LastInsertID
	case (e.Type == StepError || e.Type == CursorError) && read.Err == nil:
		r.fail("an error entry without the error")
	case e.Type == StepError:
		e.Step, e.Err = read.Step, read.Err
	case e.Type == CursorError:
		e.Err = read.Err
	case e.Type == ReplicationIndexEntry:
		e.ReplicationIndex = read.ReplicationIndex
	}
	return r.end()
}

func entryType(name []byte) EntryType {
	switch string(name) {
	case "step_begin":
		return StepBegin
	case "step_end":
		return StepEnd
	case "step_error":
		return StepError
	case "row":
		return Row
	case "error":
		return CursorError
	case "replication_index":
		return ReplicationIndexEntry
	}
	return 0
}
