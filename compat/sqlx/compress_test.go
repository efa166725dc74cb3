package sqlx_test

import (
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

type document struct {
	ID   int64                    `db:"id"`
	Body string                   `db:"body"`
	Own  *tursoopt.CompressedText `db:"own"`
}

// Structs and named parameters hold what is compressed as they hold anything else.
func TestCompressedColumns(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		if tg.Driver != tursoopt.DriverName {
			return // it compresses nothing
		}
		plain := sqlx.NewDb(tg.Open(t), tg.Driver)
		sep := "?"
		if strings.Contains(tg.DSN, "?") {
			sep = "&"
		}
		tg.DSN += sep + "compress_columns=document.body"
		db := sqlx.NewDb(tg.Open(t), tg.Driver)
		db.MustExec("CREATE TABLE document (id INTEGER PRIMARY KEY, body TEXT NOT NULL, own)")
		long := tursoopt.CompressedText(strings.Repeat("a document ", 500))
		in := []document{{1, string(long), &long}, {2, "short", nil}}
		if _, err := db.NamedExec("INSERT INTO document (id, body, own) VALUES (:id, :body, :own)", in); err != nil {
			t.Fatal(err)
		}
		var out []document
		if err := db.Select(&out, "SELECT * FROM document ORDER BY id"); err != nil {
			t.Fatal(err)
		}
		if len(out) != 2 || out[0].Body != in[0].Body || out[1].Body != "short" || out[1].Own != nil || out[0].Own == nil || *out[0].Own != long {
			t.Errorf("%d documents, and they are others", len(out))
		}
		var size int
		if err := plain.Get(&size, "SELECT length(body) + length(own) FROM document WHERE id = 1"); err != nil || size > len(long)/5 {
			t.Errorf("%d bytes are stored, %v", size, err)
		}
		if err := db.Get(&size, "SELECT length(body) FROM document"); err == nil || !strings.Contains(err.Error(), "document.body") {
			t.Errorf("a function of it: %v", err)
		}
	})
}
