package bench

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// A document is JSON as programs store it: an order with its items, names that
// come again and again, numbers and identifiers that do not.
func document(r *rand.Rand, size int) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	name := func() string {
		return pick("Ada", "Brendan", "Chidi", "Dagny", "Eun-ji", "Farid", "Greta", "Hiroshi") + " " +
			pick("Almeida", "Bergström", "Castellanos", "Dubois", "Eze", "Fischer", "Gupta", "Hansen")
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"order_id":"%08x-%04x","created_at":"2026-%02d-%02dT%02d:%02d:%02dZ","customer":{"id":%d,"name":"%s","email":"user%d@example.com","segment":"%s"},"items":[`,
		r.Uint32(), r.IntN(1<<16), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(100_000), name(), r.IntN(100_000), pick("retail", "wholesale", "partner"))
	for first := true; b.Len() < size-20; first = false {
		if !first {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"SKU-%06d","title":"%s %s %s","quantity":%d,"unit_price":%.2f,"currency":"EUR","in_stock":%t,"note":"%s"}`,
			r.IntN(1_000_000), pick("Small", "Large", "Heavy-duty", "Folding", "Portable"), pick("oak", "steel", "cotton", "ceramic", "bamboo"),
			pick("table", "lamp", "chair", "bowl", "shelf", "basket"), 1+r.IntN(9), r.Float64()*500, r.IntN(4) > 0,
			pick("", "", "gift wrapping", "leave at the door", "call before delivery"))
	}
	b.WriteString(`],"status":"` + pick("open", "paid", "shipped", "returned") + `"}`)
	return b.String()
}

// documentsOf makes n documents of about so many bytes, the same in every run.
func documentsOf(n, least, most int) []string {
	r := rand.New(rand.NewPCG(7, 14))
	docs := make([]string, n)
	for i := range docs {
		docs[i] = document(r, least+r.IntN(most-least+1))
	}
	return docs
}

// The columns that compress_columns names.
const bodyColumn = "body"

// Documents makes People, a thousandth of them in every list, and an empty table of
// documents.
func Documents(w World) []string {
	return append(People(w), "CREATE TABLE "+w.table("docs")+" (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
}

// The cases of mixedDocuments.
const (
	writeCase = "write of a document"
	readCase  = "read of a document"
	listCase  = "list of 100 rows"
)

// mixedDocuments writes a document of 1 to 16 KB, reads it back and lists rows, which
// together are one operation.
func mixedDocuments(w World) Work {
	insert := "INSERT INTO " + w.table("docs") + " (id, body) VALUES (?, ?)"
	read := "SELECT body FROM " + w.table("docs") + " WHERE id = ?"
	list := "SELECT id, name, email, score FROM " + w.table("people") + " WHERE id >= ? ORDER BY id LIMIT 100"
	docs := documentsOf(200, 1<<10, 16<<10)
	return func(_ context.Context, db *sql.DB, worker int) (Task, error) {
		r := rand.New(rand.NewPCG(rand.Uint64(), uint64(worker)))
		cases := map[string][]time.Duration{}
		timed := func(name string, f func() error) error {
			from := time.Now()
			err := f()
			cases[name] = append(cases[name], time.Since(from))
			return err
		}
		return Task{Cases: func() map[string][]time.Duration { return cases }, Do: func(ctx context.Context) error {
			id, doc := r.Int64(), docs[r.IntN(len(docs))]
			err := timed(writeCase, func() error {
				_, err := db.ExecContext(ctx, insert, id, doc)
				return err
			})
			if err != nil {
				return err
			}
			var got string
			if err := timed(readCase, func() error { return db.QueryRowContext(ctx, read, id).Scan(&got) }); err != nil {
				return err
			}
			if got != doc {
				return fmt.Errorf("a document of %d bytes came back with %d, or others", len(doc), len(got))
			}
			from := 1 + r.IntN(w.rows(peopleRows))
			return timed(listCase, func() error { return listPeople(ctx, db, list, from) })
		}}, nil
	}
}

func listPeople(ctx context.Context, db *sql.DB, list string, from int) error {
	rows, err := db.QueryContext(ctx, list, from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for want := from; rows.Next(); want++ {
		var id int
		var name, email string
		var score float64
		if err := rows.Scan(&id, &name, &email, &score); err != nil {
			return err
		}
		if id != want {
			return fmt.Errorf("row %d came in place of %d", id, want)
		}
		if err := checkPerson(id, name, score); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanned is how many documents scanDocuments reads, and scannedSize how long each
// is.
const scanned, scannedSize = 1000, 4 << 10

// scanDocuments reads documents of 4 KB, which it has written before.
func scanDocuments(w World) Work {
	docs := documentsOf(w.rows(scanned), scannedSize, scannedSize)
	return func(ctx context.Context, db *sql.DB, _ int) (Task, error) {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+w.table("docs")).Scan(&n); err != nil {
			return Task{}, err
		}
		for i := n; i < len(docs); i++ {
			if _, err := db.ExecContext(ctx, "INSERT INTO "+w.table("docs")+" (id, body) VALUES (?, ?)", i, docs[i]); err != nil {
				return Task{}, err
			}
		}
		scan := "SELECT id, body FROM " + w.table("docs")
		return Task{Do: func(ctx context.Context) error {
			rows, err := db.QueryContext(ctx, scan)
			if err != nil {
				return err
			}
			defer rows.Close()
			seen := 0
			var body sql.RawBytes
			for ; rows.Next(); seen++ {
				var id int
				if err := rows.Scan(&id, &body); err != nil {
					return err
				}
				if string(body) != docs[id] {
					return fmt.Errorf("document %d came back changed", id)
				}
			}
			if rows.Err() == nil && seen != len(docs) {
				return fmt.Errorf("%d documents of %d", seen, len(docs))
			}
			return rows.Err()
		}}, nil
	}
}
