package hranatest

import (
	"github.com/turso-opt/turso-opt/internal/exec"
)

// A collector keeps all that a program gives, up to a limit.
type collector struct {
	limit   int // 0 for none
	size    int
	rows    exec.Table
	cols    []exec.Column
	results []*exec.Result
	errors  []*refusal
}

var _ listener = (*collector)(nil)

func (l *collector) begin(cols []exec.Column) (*exec.Table, error) {
	l.cols = cols
	l.rows = exec.Table{}
	l.rows.Reset(len(cols))
	for _, col := range cols {
		decltype := col.Decltype
		if decltype == "" {
			decltype = "null"
		}
		l.size += len(`{"name":"","decltype":""}`) + len(col.Name) + len(decltype)
	}
	return &l.rows, l.check()
}

func (l *collector) row(size int) error {
	l.size += size
	return l.check()
}

func (l *collector) check() error {
	if l.limit > 0 && l.size > l.limit {
		return errTooLarge
	}
	return nil
}

func (l *collector) done(res *exec.Result, err *refusal) error {
	if res != nil {
		res.Cols, res.Rows = l.cols, l.rows
	}
	l.results = append(l.results, res)
	l.errors = append(l.errors, err)
	return nil
}
