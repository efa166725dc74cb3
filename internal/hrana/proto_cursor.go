package hrana

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// In CursorEntry the members have the numbers of their EntryTypes. The last one,
// the replication index, is not in the schema: sqld sends it as a wrapped
// uint64, or, where it has none, as an entry without a member.

func appendProtoCursorReq(dst []byte, req *CursorReq) ([]byte, error) {
	w := protoWriter{b: dst}
	w.someText(1, req.Baton)
	w.batch(2, &req.Batch)
	return w.end(dst, "CursorReqBody")
}

func decodeProtoCursorReq(data []byte, req *CursorReq) error {
	*req = CursorReq{}
	f := protoFields{rest: data}
	for f.next() {
		switch f.num {
		case 1:
			req.Baton = f.text()
		case 2:
			f.fail(protoBatch(f.message(), &req.Batch))
		}
	}
	return inMessage("protobuf CursorReqBody", f.err)
}

// firstRead is how much of a message is read before memory is made for the
// rest: what is said of its length is no reason to allocate it.
const firstRead = 64 << 10

func nextProtoMessage(r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	size, err := protoLength(r)
	if err != nil {
		return nil, err
	}
	if size > uint64(max(limit, 0)) {
		return nil, fmt.Errorf("protobuf: a message of %d bytes, above the limit of %d", size, limit)
	}
	for buf = buf[:0]; len(buf) < int(size); {
		have := len(buf)
		to := min(int(size), max(cap(buf), 2*have, firstRead))
		buf = slices.Grow(buf, to-have)[:to]
		if _, err := io.ReadFull(r, buf[have:]); err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// protoLength reads the length before a message.
func protoLength(r *bufio.Reader) (uint64, error) {
	var b [10]byte
	for i := range b {
		c, err := r.ReadByte()
		if err == io.EOF && i > 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		if b[i] = c; c < 0x80 {
			if v, n := protowire.ConsumeVarint(b[:i+1]); n > 0 {
				return v, nil
			}
			break
		}
	}
	return 0, errors.New("protobuf: the length before a message is malformed")
}

// delimited opens a message that has its length before it and no tag; close
// ends it.
func (w *protoWriter) delimited() (body int) {
	w.b = append(w.b, 0)
	return len(w.b)
}

func appendProtoCursorResp(dst []byte, resp *CursorResp) ([]byte, error) {
	w := protoWriter{b: dst}
	body := w.delimited()
	w.someText(1, resp.Baton)
	w.someText(2, resp.BaseURL)
	w.close(body)
	return w.end(dst, "CursorRespBody")
}

func decodeProtoCursorResp(msg []byte, resp *CursorResp) error {
	*resp = CursorResp{}
	f := protoFields{rest: msg}
	for f.next() {
		switch f.num {
		case 1:
			resp.Baton = f.text()
		case 2:
			resp.BaseURL = f.text()
		}
	}
	return inMessage("protobuf CursorRespBody", f.err)
}

func appendProtoCursorEntry(dst []byte, e *CursorEntry, t *exec.Table, row int) ([]byte, error) {
	w := protoWriter{b: dst}
	body := w.delimited()
	switch e.Type {
	case StepBegin:
		member := w.begin(1)
		w.someUint64(1, uint64(e.Step))
		w.cols(2, e.Cols)
		w.close(member)
	case StepEnd:
		member := w.begin(2)
		w.someUint64(1, uint64(e.RowsAffected))
		w.someSint64(2, e.LastInsertID)
		w.close(member)
	case StepError:
		member := w.begin(3)
		w.someUint64(1, uint64(e.Step))
		w.cursorError(2, e.Err)
		w.close(member)
	case Row:
		w.row(4, t, row)
	case CursorError:
		w.cursorError(5, e.Err)
	case ReplicationIndexEntry:
		if e.ReplicationIndex != 0 {
			member := w.begin(6)
			w.uint64(1, e.ReplicationIndex)
			w.close(member)
		}
	default:
		w.fail(fmt.Errorf("type %d", e.Type))
	}
	w.close(body)
	return w.end(dst, "CursorEntry")
}

func (w *protoWriter) cursorError(num protowire.Number, e *Error) {
	if e == nil {
		w.fail(errors.New("an error entry without an error"))
		return
	}
	w.error(num, e)
}

func decodeProtoCursorEntry(msg []byte, e *CursorEntry, t *exec.Table) error {
	e.Type = 0
	f := protoFields{rest: msg}
	for f.next() {
		if f.num > protowire.Number(ReplicationIndexEntry) {
			continue
		}
		if e.Type == Row {
			f.fail(errors.New("a row is followed by more"))
			break
		}
		e.Type = EntryType(f.num)
		f.fail(protoEntry(f.message(), e, t))
	}
	if e.Type == 0 {
		if len(msg) > 0 {
			f.fail(errNoType)
		}
		e.Type, e.ReplicationIndex = ReplicationIndexEntry, 0
	}
	return inMessage("protobuf CursorEntry", f.err)
}

// protoEntry decodes the member that e.Type names.
func protoEntry(b []byte, e *CursorEntry, t *exec.Table) (err error) {
	f := protoFields{rest: b}
	switch e.Type {
	case Row:
		return protoRow(t, b)
	case CursorError:
		e.Err, err = protoError(b)
		return err
	case StepBegin:
		e.Step = 0
		b = slices.Clone(b)
		e.Cols, err = protoCols(b, 2)
		f.fail(err)
		for f.next() {
			if f.num == 1 {
				e.Step = f.uint32()
			}
		}
	case StepEnd:
		e.RowsAffected, e.LastInsertID = 0, 0
		for f.next() {
			switch f.num {
			case 1:
				e.RowsAffected = f.uint63()
			case 2:
				e.LastInsertID = f.sint64()
			}
		}
	case StepError:
		e.Step, e.Err = 0, nil
		for f.next() {
			switch f.num {
			case 1:
				e.Step = f.uint32()
			case 2:
				e.Err, err = protoError(f.message())
				f.fail(err)
			}
		}
		if e.Err == nil {
			f.fail(errors.New("StepErrorEntry: no error"))
		}
	case ReplicationIndexEntry:
		e.ReplicationIndex = 0
		for f.next() {
			if f.num == 1 {
				e.ReplicationIndex = f.uint64()
			}
		}
	}
	return f.err
}
