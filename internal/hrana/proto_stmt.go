package hrana

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxCondDepth is how deep messages may be nested in a condition. sqld's decoder
// refuses requests in which 100 are nested in each other, whose condition is the
// fifth of them; of and as well as or each level counts twice, for the list.
const maxCondDepth = 95

var errCondDepth = fmt.Errorf("BatchCond: messages are nested deeper than %d", maxCondDepth)

// stmt appends a Stmt message as field num.
func (w *protoWriter) stmt(num protowire.Number, s *Stmt) {
	body := w.begin(num)
	w.sql(1, 2, s.SQL, s.SQLID, s.HasSQLID)
	for i := range s.Args {
		w.value(3, &s.Args[i])
		if w.err != nil {
			w.err = fmt.Errorf("argument %d: %w", i+1, w.err)
			return
		}
	}
	for i := range s.Named {
		a := &s.Named[i]
		arg := w.begin(4)
		w.text(1, a.Name)
		w.value(2, &a.Value)
		w.close(arg)
		if w.err != nil {
			w.err = fmt.Errorf("argument %q: %w", a.Name, w.err)
			return
		}
	}
	// Rows are wanted where nothing is said.
	if !s.WantRows {
		w.uint64(5, 0)
	}
	w.someUint64(6, s.ReplicationIndex)
	w.close(body)
}

// sql appends a text, or the number that stands for it.
func (w *protoWriter) sql(text, id protowire.Number, sql string, sqlID int32, hasSQLID bool) {
	if hasSQLID {
		w.int32(id, sqlID)
		return
	}
	w.text(text, sql)
}

// batch appends a Batch message as field num.
func (w *protoWriter) batch(num protowire.Number, batch *Batch) {
	body := w.begin(num)
	for i := range batch.Steps {
		s := &batch.Steps[i]
		step := w.begin(1)
		if s.Cond != nil {
			w.cond(1, s.Cond, 1)
		}
		w.stmt(2, &s.Stmt)
		if w.err != nil {
			w.err = fmt.Errorf("step %d: %w", i, w.err)
			return
		}
		w.close(step)
	}
	w.someUint64(2, batch.ReplicationIndex)
	w.close(body)
}

// cond appends a BatchCond message as field num.
func (w *protoWriter) cond(num protowire.Number, c *Cond, depth int) {
	if depth > maxCondDepth {
		w.fail(errCondDepth)
		return
	}
	body := w.begin(num)
	switch c.Type {
	case CondOK:
		w.uint64(1, uint64(c.Step))
	case CondError:
		w.uint64(2, uint64(c.Step))
	case CondNot:
		if len(c.Conds) != 1 {
			w.fail(fmt.Errorf("BatchCond: not of %d conditions", len(c.Conds)))
			return
		}
		w.conds(3, c.Conds, depth+1)
	case CondAnd, CondOr:
		list := w.begin(4 + protowire.Number(c.Type-CondAnd))
		w.conds(1, c.Conds, depth+2)
		w.close(list)
	case CondIsAutocommit:
		w.close(w.begin(6))
	default:
		w.fail(fmt.Errorf("BatchCond: type %d", c.Type))
	}
	w.close(body)
}

func (w *protoWriter) conds(num protowire.Number, conds []*Cond, depth int) {
	for _, c := range conds {
		if c == nil {
			w.fail(errors.New("BatchCond: nil"))
			return
		}
		w.cond(num, c, depth)
		if w.err != nil {
			return
		}
	}
}
