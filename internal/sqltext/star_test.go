package sqltext

import "testing"

func TestStar(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT * FROM t":                                true,
		"select*from t":                                  true,
		"SELECT t.* FROM t":                              true,
		"SELECT a, * FROM t":                             true,
		"SELECT DISTINCT * FROM t":                       true,
		"SELECT ALL * FROM t":                            true,
		"SELECT a FROM (SELECT * FROM t)":                true,
		"WITH x AS (SELECT * FROM t) SELECT a FROM x":    true,
		"INSERT INTO t VALUES (1) RETURNING *":           true,
		"DELETE FROM t RETURNING a, *":                   true,
		"SELECT \"t\" . /* which */ * FROM t":            true,
		"SELECT count(*) FROM t":                         false,
		"SELECT a * b FROM t":                            false,
		"SELECT 2*3":                                     false,
		"SELECT (a) * 2 FROM t":                          false,
		"SELECT '*' FROM t":                              false,
		"SELECT a /* * */ FROM t":                        false,
		"SELECT count(*) * 2, max(a) FROM t -- SELECT *": false,
		"UPDATE t SET a = a * 2":                         false,
		"":                                               false,
	} {
		got := false
		for _, s := range Parse(text).Stmts {
			got = got || s.Star
		}
		if got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
