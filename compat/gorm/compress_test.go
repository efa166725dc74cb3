package gorm_test

import (
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

type document struct {
	ID    uint
	Title string
	Body  string
	Own   tursoopt.CompressedText `gorm:"type:text"`
}

// Models hold what is compressed as they hold anything else.
func TestCompressedColumns(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		if tg.Driver != tursoopt.DriverName {
			return // it compresses nothing
		}
		plain := tg.Open(t)
		sep := "?"
		if strings.Contains(tg.DSN, "?") {
			sep = "&"
		}
		tg.DSN += sep + "compress_columns=documents.body"
		db := open(t, dialectors["glebarez"](tg.Open(t)))
		if err := db.AutoMigrate(&document{}); err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("a document ", 500)
		in := []document{{Title: "a", Body: long, Own: tursoopt.CompressedText(long)}, {Title: "b", Body: "short", Own: "short"}}
		must(t, db.Create(&in))
		must(t, db.Model(&in[1]).Update("body", long+"2"))
		in[0].Body = long + "1"
		must(t, db.Save(&in[0]))
		in[1].Body = long + "2"
		var out []document
		must(t, db.Order("id").Find(&out))
		if len(out) != 2 || out[0] != in[0] || out[1] != in[1] {
			t.Errorf("%d documents, and they are others", len(out))
		}
		if err := db.AutoMigrate(&document{}); err != nil { // it looks at the table again
			t.Fatal(err)
		}
		var size int
		if err := plain.QueryRow("SELECT max(length(body)) + max(length(own)) FROM documents").Scan(&size); err != nil || size > len(long)/5 {
			t.Errorf("%d bytes are stored, %v", size, err)
		}
		if err := db.First(&document{}, "body = ?", long).Error; err == nil || !strings.Contains(err.Error(), "documents.body") {
			t.Errorf("a predicate on it: %v", err)
		}
	})
}
