package hranatest

import (
	"strconv"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// bind gives every parameter its value, by sqld's rules: a number is a position
// even if it is not in order, a name is looked for with its prefix and then
// without, and every parameter must have a value.
func bind(stmt *sqlite3.Stmt, q *query) error {
	n := stmt.BindCount()
	if given := len(q.args) + q.names(); given > n {
		return argsRefusal("too many parameters, expected " + itoa(n) + " found " + itoa(given))
	}
	for i := 1; i <= n; i++ {
		name := stmt.BindName(i)
		value := q.value(i, name)
		if value == nil {
			if q.kind == sqltext.Explain {
				return nil
			}
			if name == "" {
				name = itoa(i)
			}
			return argsRefusal("value for parameter " + name + " not found")
		}
		if err := bindValue(stmt, i, value); err != nil {
			return argsRefusal(messageOf(err))
		}
	}
	return nil
}

// names is how many different names there are among the arguments.
func (q *query) names() int {
	if len(q.named) < 2 {
		return len(q.named)
	}
	set := make(map[string]struct{}, len(q.named))
	for i := range q.named {
		set[q.named[i].Name] = struct{}{}
	}
	return len(set)
}

// value is the argument for parameter number i, nil if there is none.
func (q *query) value(i int, name string) *exec.Value {
	if name != "" && name[0] != '?' {
		for _, key := range [...]string{name, name[1:]} {
			// Of two arguments with one name the last counts.
			for j := len(q.named) - 1; j >= 0; j-- {
				if q.named[j].Name == key {
					return &q.named[j].Value
				}
			}
		}
		return nil
	}
	if name != "" {
		position, err := strconv.Atoi(name[1:])
		if err != nil {
			return nil
		}
		i = position
	}
	if i < 1 || i > len(q.args) {
		return nil
	}
	return &q.args[i-1]
}

func bindValue(stmt *sqlite3.Stmt, i int, v *exec.Value) error {
	switch v.Kind {
	case exec.Integer:
		return stmt.BindInt64(i, v.Int)
	case exec.Float:
		return stmt.BindFloat(i, v.Float)
	case exec.Text:
		return stmt.BindText(i, v.Text)
	case exec.Blob:
		if len(v.Blob) == 0 {
			return stmt.BindZeroBlob(i, 0)
		}
		return stmt.BindBlob(i, v.Blob)
	}
	return stmt.BindNull(i)
}
