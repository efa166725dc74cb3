package tursoopt

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A call is a text with its arguments, ready to be sent.
type call struct {
	text  *sqltext.Text
	stmts []exec.Stmt
	// restore gives a column of a statement the name it would have had; nil where
	// the statement is sent as it was written.
	restore []func(string) string
	one     [1]exec.Stmt  // backs stmts where there is only one
	few     [2]exec.Value // backs its arguments where they are few
	// kept: others may have the result too, or get it later. result backs it.
	kept bool
	// apart: the last statement is a read whose result may be too large for the answer
	// that the others share.
	apart bool
	// unasked: the server has not been asked for this call.
	unasked bool
	result  [1]exec.StmtResult
}

// class is Read only if all statements are.
func (c *call) class() exec.Class {
	if c.text.ReadOnly {
		return exec.Read
	}
	return exec.Write
}

// bind gives each statement of a text its arguments. Every parameter must get a
// value and every argument must be used; the errors name the parameter and are
// found before anything is sent. Blobs are borrowed from args.
func (c *call) bind(text *sqltext.Text, args []driver.NamedValue, wantRows bool) error {
	c.text = text
	if c.stmts = c.one[:0]; len(text.Stmts) > 1 {
		c.stmts = make([]exec.Stmt, 0, len(text.Stmts))
	}
	b := binder{args: args, few: c.few[:0]}
	for i := range text.Stmts {
		s := &text.Stmts[i]
		stmt := exec.Stmt{SQL: s.SQL, WantRows: wantRows, Note: s.Note, Rowid: s.Rowid, Star: s.Star, Shares: shares(s)}
		err := sendable(s)
		switch {
		case err != nil:
		case len(text.Stmts) == 1:
			stmt.Args, err = b.single(s)
		default:
			stmt.Args, err = b.script(s)
		}
		if err != nil {
			return b.explain(text, i, err)
		}
		nameArgs(inlineInfinities(s, &stmt), &stmt)
		c.stmts = append(c.stmts, stmt)
	}
	if err := b.leftover(text); err != nil {
		return err
	}
	return nil
}

// sendable says what no server could read, or what the driver could not count the
// arguments of.
func sendable(s *sqltext.Stmt) error {
	switch {
	case s.Invalid:
		return errors.New("the SQL is not valid UTF-8; pass such bytes as an argument of type []byte")
	case s.NoNumber == "":
		return nil
	case len(s.NoNumber) > 1 && s.NoNumber[0] == '?':
		return fmt.Errorf("parameter numbers go from ?1 to ?%d", sqltext.MaxVariable)
	}
	return fmt.Errorf("the statement has more than %d parameters, which SQLite does not take", sqltext.MaxVariable)
}

// shares tells whether a statement may run in a transaction with others'.
func shares(s *sqltext.Stmt) bool {
	switch s.Kind {
	case sqltext.Insert, sqltext.Replace, sqltext.Update, sqltext.Delete:
		return !s.Returning && !s.ConnFuncs
	}
	return false
}

// nameArgs has arguments travel with the names of their parameters: sqld finds a
// parameter that has a name by nothing else. It does not take both kinds in one
// statement, so where they are mixed the names are written as numbers.
func nameArgs(s *sqltext.Stmt, stmt *exec.Stmt) {
	named, unnamed := 0, 0
	for i := range s.Params {
		switch p := &s.Params[i]; {
		case !p.Used:
		case p.Name == "" || p.Name[0] == '?':
			unnamed++
		default:
			named++
		}
	}
	switch {
	case named == 0:
	case unnamed == 0:
		stmt.Names = make([]string, len(s.Params))
		for i := range s.Params {
			stmt.Names[i] = s.Params[i].Name
		}
	default:
		stmt.SQL = s.NumberParams()
	}
}

// A binder hands out arguments.
type binder struct {
	args []driver.NamedValue
	next int          // positional arguments that a script's statements have taken
	used []bool       // by index in args, of named ones; nil while there is none
	few  []exec.Value // memory for the values of a single statement
}

func (b *binder) explain(text *sqltext.Text, i int, err error) error {
	if len(text.Stmts) == 1 {
		return fmt.Errorf("turso-opt: %w", err)
	}
	return fmt.Errorf("turso-opt: statement %d: %w", i+1, err)
}

// single binds a text's only statement: an argument without a name is for the
// parameter of its ordinal, as SQLite numbers them.
func (b *binder) single(s *sqltext.Stmt) ([]exec.Value, error) {
	if len(s.Params) == 0 {
		if len(b.args) > 0 && b.args[0].Name == "" {
			return nil, fmt.Errorf("the statement has no parameters, and %d arguments are given", len(b.args))
		}
		return nil, nil
	}
	positional := 0
	for i := range b.args {
		if b.args[i].Name == "" {
			positional++
		}
	}
	if len(b.args) == 0 && s.Kind == sqltext.Explain {
		return make([]exec.Value, len(s.Params)), nil // a plan needs no values
	}
	if positional == len(b.args) && positional != len(s.Params) {
		return nil, fmt.Errorf("the statement has %d parameters, and %d arguments are given", len(s.Params), positional)
	}
	values := b.few
	if n := len(s.Params); n <= cap(values) {
		values = values[:n]
	} else {
		values = make([]exec.Value, n)
	}
	var bound []bool
	if positional != len(b.args) {
		bound = make([]bool, len(s.Params))
	}
	for i := range b.args {
		a := &b.args[i]
		if a.Name != "" {
			continue
		}
		if a.Ordinal > len(values) {
			return nil, fmt.Errorf("argument %d is beyond the statement's %d parameters", a.Ordinal, len(values))
		}
		v, err := toValue(a.Value)
		if err != nil {
			return nil, err
		}
		values[a.Ordinal-1] = v
		if bound != nil {
			bound[a.Ordinal-1] = true
		}
	}
	if bound == nil {
		return values, nil
	}
	return values, b.named(s, values, bound)
}

// script binds one statement of a script: it takes as many arguments without a
// name as libsql-client-go takes for it, and all that it names.
func (b *binder) script(s *sqltext.Stmt) ([]exec.Value, error) {
	if len(s.Params) == 0 {
		return nil, nil
	}
	values, bound := make([]exec.Value, len(s.Params)), make([]bool, len(s.Params))
	for i := 0; i < s.Spread() && b.next < len(b.args) && b.args[b.next].Name == ""; i++ {
		if i >= len(values) {
			return nil, fmt.Errorf("parameter ?%d is missing from the text", i+1)
		}
		v, err := toValue(b.args[b.next].Value)
		if err != nil {
			return nil, err
		}
		values[i], bound[i] = v, true
		b.next++
	}
	return values, b.named(s, values, bound)
}

// named binds arguments by name, which is written without the prefix: one
// argument serves :a, @a and $a. It then looks for parameters without a value.
func (b *binder) named(s *sqltext.Stmt, values []exec.Value, bound []bool) error {
	if b.used == nil {
		b.used = make([]bool, len(b.args))
	}
	for i := range b.args {
		a := &b.args[i]
		if a.Name == "" {
			continue
		}
		for j := range s.Params {
			name := s.Params[j].Name
			if name == "" || name[0] == '?' || name[1:] != a.Name {
				continue
			}
			if bound[j] {
				return fmt.Errorf("parameter %s gets two arguments", name)
			}
			v, err := toValue(a.Value)
			if err != nil {
				return err
			}
			values[j], bound[j], b.used[i] = v, true, true
		}
	}
	for j := range s.Params {
		if p := &s.Params[j]; p.Used && !bound[j] {
			if p.Name == "" {
				return fmt.Errorf("parameter %d gets no argument", p.Index)
			}
			return fmt.Errorf("parameter %s gets no argument", p.Name)
		}
	}
	return nil
}

// leftover looks for arguments that nothing has used.
func (b *binder) leftover(text *sqltext.Text) error {
	for i := range b.args {
		a := &b.args[i]
		switch {
		case a.Name != "" && (b.used == nil || !b.used[i]):
			return fmt.Errorf("turso-opt: no parameter is called %s", a.Name)
		case a.Name == "" && len(text.Stmts) != 1 && i >= b.next:
			return fmt.Errorf("turso-opt: the text takes %d arguments, and more are given", b.next)
		}
	}
	return nil
}

// inlineInfinities writes infinite arguments into the text: JSON has no numbers
// for them, and SQLite reads 9e999 as one. It gives the statement that the text
// is now.
func inlineInfinities(s *sqltext.Stmt, stmt *exec.Stmt) *sqltext.Stmt {
	now := s
	for i := range stmt.Args {
		v := &stmt.Args[i]
		if v.Kind != exec.Float || !math.IsInf(v.Float, 0) {
			continue
		}
		literal := "9e999"
		if v.Float < 0 {
			literal = "-9e999"
		}
		stmt.SQL = now.InlineParam(i+1, literal)
		now = &sqltext.Parse(stmt.SQL).Stmts[0]
		*v = exec.Value{}
	}
	if now != s {
		stmt.Args = stmt.Args[:len(now.Params)] // the last may be gone from the text
	}
	return now
}
