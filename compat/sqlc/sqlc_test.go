// Package sqlc_test uses the driver through what sqlc generates from
// schema.sql and queries.sql.
package sqlc_test

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/compat/internal/target"
	"github.com/turso-opt/turso-opt/compat/sqlc/store"
)

//go:embed schema.sql
var schema string

// each runs body on an empty schema, once with the statements sent as they are
// and once with all of them prepared.
func each(t *testing.T, body func(ctx context.Context, t *testing.T, db *sql.DB, q *store.Queries)) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		for _, prepared := range []bool{false, true} {
			name := "direct"
			if prepared {
				name = "prepared"
			}
			t.Run(name, func(t *testing.T) {
				ctx, db := t.Context(), tg.Open(t)
				if _, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS book; DROP TABLE IF EXISTS author;"+schema); err != nil {
					t.Fatal(err)
				}
				q := store.New(db)
				if prepared {
					var err error
					if q, err = store.Prepare(ctx, db); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						if err := q.Close(); err != nil {
							t.Error(err)
						}
					})
				}
				body(ctx, t, db, q)
			})
		}
	})
}

func text(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }

func create(ctx context.Context, t *testing.T, q *store.Queries, name string, rating float64) store.Author {
	t.Helper()
	a, err := q.CreateAuthor(ctx, store.CreateAuthorParams{Name: name, Rating: rating})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRows(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, _ *sql.DB, q *store.Queries) {
		born := time.Date(1906, 12, 9, 1, 2, 3, 4000, time.UTC)
		made, err := q.CreateAuthor(ctx, store.CreateAuthorParams{
			Name: "Grace", Bio: text("née Murray"), Born: sql.NullTime{Time: born, Valid: true}, Rating: -0.5, Retired: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if made.ID != 1 || made.Bio != text("née Murray") || !made.Born.Time.Equal(born) || made.Rating != -0.5 || !made.Retired {
			t.Errorf("RETURNING gives %+v", made)
		}
		got, err := q.GetAuthor(ctx, made.ID)
		if err != nil || !got.Born.Time.Equal(born) {
			t.Fatalf("%+v, %v", got, err)
		}
		got.Born.Time = made.Born.Time
		if got != made {
			t.Errorf("read %+v\nmade %+v", got, made)
		}

		plain := create(ctx, t, q, "Ada", 0)
		if plain.ID != 2 || plain.Bio.Valid || plain.Born.Valid || plain.Retired {
			t.Errorf("the row of NULLs is %+v", plain)
		}
		all, err := q.ListAuthors(ctx)
		if err != nil || len(all) != 2 || all[0] != plain || all[1].Name != "Grace" {
			t.Errorf("ListAuthors gives %+v, %v", all, err)
		}
		if _, err := q.GetAuthor(ctx, 99); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("GetAuthor of nobody: %v", err)
		}
	})
}

// A numbered parameter and plain ones stand side by side in a slice's query.
func TestSlices(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, _ *sql.DB, q *store.Queries) {
		for _, name := range []string{"a", "b", "c", "d"} {
			create(ctx, t, q, name, 0)
		}
		for _, c := range []struct {
			ids  []int64
			want string
		}{{[]int64{4, 1, 3}, "acd"}, {[]int64{2}, "b"}, {nil, ""}} {
			rows, err := q.ListAuthorsByIDs(ctx, store.ListAuthorsByIDsParams{Ids: c.ids})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range rows {
				got += r.Name
			}
			if got != c.want {
				t.Errorf("the authors %v are %q, want %q", c.ids, got, c.want)
			}
		}
	})
}

func TestCountsAndIDs(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, _ *sql.DB, q *store.Queries) {
		ada := create(ctx, t, q, "Ada", 1)
		create(ctx, t, q, "Eve", 2)
		var covers [][]byte
		for i, title := range []string{"Notes", "Sketch", "Letters"} {
			covers = append(covers, bytes.Repeat([]byte{0, 255}, i+1))
			id, err := q.AddBook(ctx, store.AddBookParams{AuthorID: ada.ID, Title: title, Cover: covers[i]})
			if err != nil || id != int64(i+1) {
				t.Errorf("AddBook gives the id %d, %v", id, err)
			}
		}
		books, err := q.BooksWithAuthors(ctx, "%et%")
		if err != nil {
			t.Fatal(err)
		}
		if len(books) != 2 || books[0].Book.Title != "Sketch" || !bytes.Equal(books[1].Book.Cover, covers[2]) || books[1].Author != ada {
			t.Errorf("the books are %+v", books)
		}
		counts, err := q.CountBooks(ctx)
		want := []store.CountBooksRow{
			{Name: "Ada", Books: 3, TitleLength: sql.NullFloat64{Float64: 6, Valid: true}},
			{Name: "Eve"},
		}
		if err != nil || !reflect.DeepEqual(counts, want) {
			t.Errorf("CountBooks gives %+v, %v", counts, err)
		}

		if n, err := q.UpsertAuthor(ctx, store.UpsertAuthorParams{Name: "Ada", Rating: 9.5}); n != 1 || err != nil {
			t.Errorf("the upsert affects %d, %v", n, err)
		}
		if err := q.UpdateAuthor(ctx, store.UpdateAuthorParams{ID: 2, Rating: 0.5, Bio: text("x")}); err != nil {
			t.Fatal(err)
		}
		// A bio that is not given stays.
		if err := q.UpdateAuthor(ctx, store.UpdateAuthorParams{ID: 2, Rating: 0.25}); err != nil {
			t.Fatal(err)
		}
		res, err := q.RetireAuthors(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); n != 1 || err != nil {
			t.Errorf("%d retired, %v", n, err)
		}
		if a, err := q.GetAuthor(ctx, 1); err != nil || a.Rating != 9.5 || a.Retired {
			t.Errorf("Ada is %+v, %v", a, err)
		}
		if a, err := q.GetAuthor(ctx, 2); err != nil || a.Rating != 0.25 || a.Bio != text("x") || !a.Retired {
			t.Errorf("Eve is %+v, %v", a, err)
		}

		// Foreign keys are checked: the author's books go with her.
		if n, err := q.DeleteAuthor(ctx, ada.ID); n != 1 || err != nil {
			t.Errorf("DeleteAuthor affects %d, %v", n, err)
		}
		if books, err := q.BooksWithAuthors(ctx, "%"); len(books) != 0 || err != nil {
			t.Errorf("books without an author: %+v, %v", books, err)
		}
		// AUTOINCREMENT never gives an id again.
		if id, err := q.AddBook(ctx, store.AddBookParams{AuthorID: 2, Title: "Next"}); id != 4 || err != nil {
			t.Errorf("the next id is %d, %v", id, err)
		}
		if _, err := q.AddBook(ctx, store.AddBookParams{AuthorID: 1, Title: "Orphan"}); err == nil {
			t.Error("a book was added to an author who is gone")
		}
	})
}

func TestTransactions(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, q *store.Queries) {
		for _, commit := range []bool{true, false} {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			inside := q.WithTx(tx)
			a := create(ctx, t, inside, map[bool]string{true: "kept", false: "gone"}[commit], 0)
			if _, err := inside.AddBook(ctx, store.AddBookParams{AuthorID: a.ID, Title: "One"}); err != nil {
				t.Fatal(err)
			}
			if books, err := inside.BooksWithAuthors(ctx, "One"); err != nil || books[len(books)-1].Author != a {
				t.Errorf("inside: %+v, %v", books, err)
			}
			if commit {
				err = tx.Commit()
			} else {
				err = tx.Rollback()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if books, err := q.BooksWithAuthors(ctx, "%"); err != nil || len(books) != 1 || books[0].Author.Name != "kept" {
			t.Errorf("afterwards: %+v, %v", books, err)
		}
	})
}
