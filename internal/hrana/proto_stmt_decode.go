package hrana

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// protoSQL is a text, or the number that stands for it.
type protoSQL struct {
	text           string
	id             int32
	hasText, hasID bool
}

// field takes the field that f is at, if it is one of the two.
func (s *protoSQL) field(f *protoFields, text, id protowire.Number) {
	switch f.num {
	case text:
		s.text, s.hasText = f.text(), true
	case id:
		s.id, s.hasID = f.int32(), true
	}
}

// check refuses what sqld refuses.
func (s *protoSQL) check() error {
	switch {
	case s.hasText && s.hasID:
		return errors.New("both sql and sql_id are given")
	case !s.hasText && !s.hasID:
		return errors.New("neither sql nor sql_id is given")
	}
	return nil
}

func protoStmt(b []byte, s *Stmt) error {
	*s = Stmt{WantRows: true}
	var sql protoSQL
	f := protoFields{rest: b}
	s.Args = slices.Grow(s.Args, f.count(3))
	s.Named = slices.Grow(s.Named, f.count(4))
	for f.next() {
		sql.field(&f, 1, 2)
		switch f.num {
		case 3:
			v, err := protoArg(f.message())
			f.fail(err)
			s.Args = append(s.Args, v)
		case 4:
			var a NamedArg
			arg := protoFields{rest: f.message()}
			var value []byte
			for arg.next() {
				switch arg.num {
				case 1:
					a.Name = arg.text()
				case 2:
					value = arg.message()
				}
			}
			f.fail(inMessage("NamedArg", arg.err))
			var err error
			a.Value, err = protoArg(value)
			f.fail(err)
			s.Named = append(s.Named, a)
		case 5:
			s.WantRows = f.bool()
		case 6:
			s.ReplicationIndex = f.uint64()
		}
	}
	f.fail(sql.check())
	s.SQL, s.SQLID, s.HasSQLID = sql.text, sql.id, sql.hasID
	return inMessage("Stmt", f.err)
}

// protoArg decodes a Value message that outlives the request.
func protoArg(b []byte) (exec.Value, error) {
	v, err := protoValue(b)
	v.Blob = slices.Clone(v.Blob)
	return v, err
}

func protoBatch(b []byte, batch *Batch) error {
	*batch = Batch{}
	f := protoFields{rest: b}
	batch.Steps = slices.Grow(batch.Steps, f.count(1))
	for f.next() {
		switch f.num {
		case 1:
			i := len(batch.Steps)
			batch.Steps = append(batch.Steps, BatchStep{})
			if err := protoBatchStep(f.message(), &batch.Steps[i]); err != nil {
				f.fail(fmt.Errorf("step %d: %w", i, err))
			}
		case 2:
			batch.ReplicationIndex = f.uint64()
		}
	}
	return inMessage("Batch", f.err)
}

func protoBatchStep(b []byte, s *BatchStep) error {
	var stmt []byte
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			var err error
			s.Cond, err = protoCond(f.message(), 1)
			f.fail(err)
		case 2:
			stmt = f.message()
		}
	}
	f.fail(protoStmt(stmt, &s.Stmt))
	return f.err
}

func protoCond(b []byte, depth int) (*Cond, error) {
	if depth > maxCondDepth {
		return nil, errCondDepth
	}
	c := new(Cond)
	f := protoFields{rest: b}
	for f.next() {
		var err error
		switch f.num {
		case 1:
			*c = Cond{Type: CondOK, Step: f.uint32()}
		case 2:
			*c = Cond{Type: CondError, Step: f.uint32()}
		case 3:
			var inner *Cond
			inner, err = protoCond(f.message(), depth+1)
			*c = Cond{Type: CondNot, Conds: []*Cond{inner}}
		case 4, 5:
			*c = Cond{Type: CondAnd + CondType(f.num-4)}
			c.Conds, err = protoConds(f.message(), depth+2)
		case 6:
			f.message()
			*c = Cond{Type: CondIsAutocommit}
		}
		f.fail(err)
	}
	if c.Type == 0 {
		f.fail(inMessage("BatchCond", errNoType))
	}
	return c, f.err
}

func protoConds(b []byte, depth int) (conds []*Cond, err error) {
	f := protoFields{rest: b}
	conds = slices.Grow(conds, f.count(1))
	for f.next() {
		if f.num == 1 {
			c, err := protoCond(f.message(), depth)
			f.fail(err)
			conds = append(conds, c)
		}
	}
	return conds, f.err
}
