package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// benchUsers is a database of a thousand users on an sqld of its own process,
// whose allocations are not ours.
func benchUsers(tb testing.TB, m mode) *sql.DB {
	tb.Helper()
	db := newEnv(tb, m).open(tb)
	mustExec(tb, db, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, score REAL, email TEXT)")
	mustExec(tb, db, `INSERT INTO users WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		SELECT i, 'user ' || i, i / 4.0, 'user' || i || '@example.com' FROM n`)
	return db
}

const (
	pointQuery = "SELECT name, score FROM users WHERE id = ?"
	allUsers   = "SELECT id, name, score, email FROM users"
)

// BenchmarkPointQuery is a SELECT by key through database/sql. Its floor in time
// is one exchange on a connection that is open, which BenchmarkFloorSocket in
// internal/hranahttp measures, and what sqld needs for the statement; in
// allocations it is what database/sql makes for any QueryRow, see
// BenchmarkFloorDatabaseSQL, and one for each value that leaves the driver.
func BenchmarkPointQuery(b *testing.B) {
	for _, m := range []mode{nativeModes[0], nativeModes[1], otherModes[0]} {
		b.Run(m.name, func(b *testing.B) {
			db := benchUsers(b, m)
			var name string
			var score float64
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := db.QueryRow(pointQuery, i%1000+1).Scan(&name, &score); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPreparedQuery is BenchmarkPointQuery with a statement that was
// prepared, which saves the look-up of its text and no request. The floor is
// that of BenchmarkPointQuery.
func BenchmarkPreparedQuery(b *testing.B) {
	db := benchUsers(b, nativeModes[0])
	s, err := db.Prepare(pointQuery)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var name string
	var score float64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.QueryRow(i%1000+1).Scan(&name, &score); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan1000 queries and scans 1000 rows of four columns. Its floor is
// BenchmarkProtoDecode1000x4 of internal/hrana, and what Scan costs: it turns
// each value into an interface and out of it again, which takes an allocation
// for a number that is not small and one for the string.
func BenchmarkScan1000(b *testing.B) {
	for _, m := range []mode{nativeModes[0], nativeModes[1], otherModes[0]} {
		b.Run(m.name, func(b *testing.B) {
			db := benchUsers(b, m)
			b.ReportAllocs()
			for b.Loop() {
				rows, err := db.Query(allUsers)
				if err != nil {
					b.Fatal(err)
				}
				var id int64
				var name, email string
				var score float64
				n := 0
				for rows.Next() {
					if err := rows.Scan(&id, &name, &score, &email); err != nil {
						b.Fatal(err)
					}
					n++
				}
				if err := rows.Close(); err != nil || n != 1000 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkStatementCacheHit prepares a text that is known, below database/sql.
// Its floor is the allocation of the driver.Stmt, since the look-up itself makes
// none: see BenchmarkCacheGet of internal/sqltext.
func BenchmarkStatementCacheHit(b *testing.B) {
	c, err := tursoopt.NewConnector(&tursoopt.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	dc, err := c.Connect(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer dc.Close()
	p := dc.(driver.ConnPrepareContext)
	b.ReportAllocs()
	for b.Loop() {
		s, err := p.PrepareContext(context.Background(), pointQuery)
		if err != nil || s.NumInput() != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseTime has no allocation as its floor: a time refers to its
// Location, and the time package keeps those of whole hours.
func BenchmarkParseTime(b *testing.B) {
	for _, text := range []string{"2024-01-02", "2024-01-02 03:04:05", "2024-01-02T03:04:05.123456789Z", "2024-01-02 03:04:05+02:00", "no time at all"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tursoopt.ParseTime(text)
			}
		})
	}
}

// BenchmarkBind binds the arguments of a text that is known. Its floor is two
// allocations, the call, which outlives the function that makes it, and the values
// as they are encoded; named arguments need two more to know which parameters and
// which arguments are used.
func BenchmarkBind(b *testing.B) {
	for _, c := range []struct {
		text string
		args []driver.NamedValue
	}{
		{"SELECT 1", nil},
		{pointQuery, []driver.NamedValue{{Ordinal: 1, Value: int64(7)}}},
		{"INSERT INTO users VALUES (?, ?, ?, ?)", []driver.NamedValue{{Ordinal: 1, Value: int64(7)}, {Ordinal: 2, Value: "name"}, {Ordinal: 3, Value: 1.5}, {Ordinal: 4, Value: nil}}},
		{"UPDATE users SET name = :name WHERE id = :id", []driver.NamedValue{{Ordinal: 1, Name: "name", Value: "name"}, {Ordinal: 2, Name: "id", Value: int64(7)}}},
	} {
		b.Run(fmt.Sprint(len(c.args), " ", c.text[:6]), func(b *testing.B) {
			text := sqltext.Parse(c.text)
			b.ReportAllocs()
			for b.Loop() {
				if err := tursoopt.Bind(text, c.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFloorDatabaseSQL is a QueryRow of two columns with one argument on a
// driver that does nothing: what is below it no driver can reach.
func BenchmarkFloorDatabaseSQL(b *testing.B) {
	db := sql.OpenDB(idleConnector{})
	defer db.Close()
	var name string
	var score float64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := db.QueryRow(pointQuery, i%1000+1).Scan(&name, &score); err != nil {
			b.Fatal(err)
		}
	}
}

// idleConnector, idleConn and idleRows are a driver that has its answer.
type idleConnector struct{}

func (idleConnector) Connect(context.Context) (driver.Conn, error) { return idleConn{}, nil }
func (idleConnector) Driver() driver.Driver                        { return nil }

type idleConn struct{ driver.Conn }

func (idleConn) Close() error { return nil }
func (idleConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &idleRows{}, nil
}

var idleColumns, idleRow = []string{"name", "score"}, []driver.Value{"user", 1.5}

type idleRows struct{ done bool }

func (r *idleRows) Columns() []string { return idleColumns }
func (r *idleRows) Close() error      { return nil }
func (r *idleRows) Next(dest []driver.Value) error {
	if r.done {
		return io.EOF
	}
	r.done = true
	copy(dest, idleRow)
	return nil
}
