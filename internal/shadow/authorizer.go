package shadow

import "github.com/ncruces/go-sqlite3"

// A recorder keeps what SQLite's authorizer was asked while one statement was
// compiled (sqlite.org/c3ref/set_authorizer.html). Names are in lower case.
type recorder struct {
	reads     []access
	writes    []string
	functions []string
	doubt     string
}

// An access is a table of which a column is read. It is nameless if neither a
// column nor a database was named: no column of the table is used.
type access struct {
	table    string
	nameless bool
}

func (r *recorder) reset() {
	*r = recorder{reads: r.reads[:0], writes: r.writes[:0], functions: r.functions[:0]}
}

func (r *recorder) authorize(action sqlite3.AuthorizerActionCode, third, fourth, schema, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_FUNCTION:
		r.functions = add(r.functions, lower(fourth))
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_READ:
		r.reads = add(r.reads, access{lower(third), fourth == "" && schema == ""})
	case sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
		r.writes = add(r.writes, lower(third))
	default:
		r.doubt = "does what only DDL and PRAGMAs do"
	}
	if schema != "" && schema != "main" {
		r.doubt = "another database than main"
	}
	return sqlite3.AUTH_OK
}

func add[T comparable](list []T, v T) []T {
	for _, other := range list {
		if other == v {
			return list
		}
	}
	return append(list, v)
}
