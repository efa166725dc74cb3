// Package bun_test uses the driver through bun, which writes arguments into
// the SQL text: every value comes to the driver as a literal.
package bun_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/turso-opt/turso-opt/compat/internal/target"
)

type author struct {
	ID        int64             `bun:",pk,autoincrement"`
	Name      string            `bun:",notnull,unique"`
	Bio       *string           `bun:",nullzero"`
	Rating    float64           `bun:",notnull,default:0.5"`
	Photo     []byte            `bun:"type:blob"`
	Born      time.Time         `bun:",nullzero"`
	Retired   bool              `bun:",notnull"`
	Links     map[string]string `bun:"type:json"`
	DeletedAt time.Time         `bun:",soft_delete,nullzero"`
	Books     []*book           `bun:"rel:has-many,join:id=author_id"`
}

type book struct {
	ID       int64 `bun:",pk,autoincrement"`
	AuthorID int64
	Author   *author `bun:"rel:belongs-to,join:author_id=id"`
	Title    string
	Tags     []tag `bun:"m2m:book_tags,join:Book=Tag"`
}

type tag struct {
	Name string `bun:",pk"`
}

type bookTag struct {
	BookID  int64  `bun:",pk"`
	Book    *book  `bun:"rel:belongs-to,join:book_id=id"`
	TagName string `bun:",pk"`
	Tag     *tag   `bun:"rel:belongs-to,join:tag_name=name"`
}

func each(t *testing.T, body func(ctx context.Context, t *testing.T, db *bun.DB)) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		ctx, db := t.Context(), bun.NewDB(tg.Open(t), sqlitedialect.New())
		db.RegisterModel((*bookTag)(nil))
		for _, model := range []any{(*author)(nil), (*book)(nil), (*tag)(nil), (*bookTag)(nil)} {
			for range 2 {
				if _, err := db.NewCreateTable().Model(model).IfNotExists().WithForeignKeys().Exec(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		body(ctx, t, db)
	})
}

func insert(ctx context.Context, t *testing.T, db bun.IDB, model any) sql.Result {
	t.Helper()
	res, err := db.NewInsert().Model(model).Exec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// affected is a result's number of rows; the error is what made it.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func TestValuesInTheText(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *bun.DB) {
		bio := "it's -- not a comment; /* nor this */ ? ?1 :name $x \"q\" `b` [c]\n\\'''"
		ada := &author{
			Name: "Ada 'née' Byron", Bio: &bio, Rating: math.SmallestNonzeroFloat64, Photo: []byte{0, 1, 39, 255},
			Born: time.Date(1815, 12, 10, 1, 2, 3, 456789000, time.UTC), Retired: true, Links: map[string]string{"a'b": `"?"`},
		}
		insert(ctx, t, db, ada)
		if ada.ID != 1 {
			t.Errorf("the id is %d", ada.ID)
		}
		got := &author{ID: 1}
		if err := db.NewSelect().Model(got).WherePK().Scan(ctx); err != nil {
			t.Fatal(err)
		}
		if !got.Born.Equal(ada.Born) {
			t.Errorf("born %v, want %v", got.Born, ada.Born)
		}
		got.Born = ada.Born
		if !reflect.DeepEqual(got, ada) {
			t.Errorf("wrote %+v\nread %+v", ada, got)
		}

		// Long literals, and the zero values that bun writes as NULL and DEFAULT.
		long := &author{Name: string(bytes.Repeat([]byte("long ' "), 20000)), Photo: bytes.Repeat([]byte{0xab, 0}, 100000)}
		insert(ctx, t, db, long)
		got = &author{}
		if err := db.NewSelect().Model(got).Where("name = ?", long.Name).Scan(ctx); err != nil {
			t.Fatal(err)
		}
		if got.ID != 2 || !bytes.Equal(got.Photo, long.Photo) || got.Bio != nil || got.Rating != 0.5 || !got.Born.IsZero() || got.Retired {
			t.Errorf("the long row comes back as %d, %d bytes, %v, %v, %v, %v", got.ID, len(got.Photo), got.Bio, got.Rating, got.Born, got.Retired)
		}

		var m map[string]any
		if err := db.NewSelect().TableExpr("(SELECT ? AS i, ? AS f, ? AS s, ? AS n)", int64(math.MinInt64), 1e300, "é'", nil).Scan(ctx, &m); err != nil {
			t.Fatal(err)
		}
		if want := (map[string]any{"i": int64(math.MinInt64), "f": 1e300, "s": "é'", "n": nil}); !reflect.DeepEqual(m, want) {
			t.Errorf("the literals are %#v, want %#v", m, want)
		}
	})
}

func TestRelations(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *bun.DB) {
		insert(ctx, t, db, &[]author{{Name: "a"}, {Name: "b"}})
		books := []book{{AuthorID: 1, Title: "one"}, {AuthorID: 1, Title: "two"}, {AuthorID: 2, Title: "three"}}
		insert(ctx, t, db, &books)
		for i, b := range books {
			if b.ID != int64(i+1) {
				t.Errorf("book %d got the id %d", i, b.ID)
			}
		}
		insert(ctx, t, db, &[]tag{{"x"}, {"y"}})
		insert(ctx, t, db, &[]bookTag{{BookID: 1, TagName: "x"}, {BookID: 1, TagName: "y"}, {BookID: 3, TagName: "y"}})

		var authors []author
		err := db.NewSelect().Model(&authors).Relation("Books", func(q *bun.SelectQuery) *bun.SelectQuery { return q.OrderBy("title", bun.OrderDesc) }).
			Order("author.id").Scan(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(authors) != 2 || len(authors[0].Books) != 2 || authors[0].Books[0].Title != "two" || len(authors[1].Books) != 1 {
			t.Errorf("the authors' books are %+v", authors)
		}
		var got []book
		if err := db.NewSelect().Model(&got).Relation("Author").Relation("Tags").Order("book.id").Scan(ctx); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[2].Author.Name != "b" || !reflect.DeepEqual(got[0].Tags, []tag{{"x"}, {"y"}}) || got[1].Tags != nil {
			t.Errorf("the books are %+v", got)
		}
		if _, err := db.NewInsert().Model(&bookTag{BookID: 99, TagName: "x"}).Exec(ctx); err == nil {
			t.Error("a book that does not exist was tagged")
		}
	})
}

func TestWrites(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *bun.DB) {
		authors := []author{{Name: "a", Rating: 1}, {Name: "b", Rating: 2}, {Name: "c", Rating: 3}}
		insert(ctx, t, db, &authors)
		for i := range authors {
			authors[i].Rating *= 10
		}
		// The values of a bulk update travel as a table.
		if n, err := affected(db.NewUpdate().Model(&authors).Column("rating").Bulk().Exec(ctx)); n != 3 || err != nil {
			t.Errorf("the bulk update affects %d, %v", n, err)
		}
		upsert := db.NewInsert().Model(&author{Name: "b", Rating: 7}).On("CONFLICT (name) DO UPDATE").Set("rating = EXCLUDED.rating")
		if n, err := affected(upsert.Exec(ctx)); n != 1 || err != nil {
			t.Errorf("the upsert affects %d, %v", n, err)
		}
		if n, err := affected(db.NewInsert().Model(&author{Name: "b"}).Ignore().Exec(ctx)); n != 0 || err != nil {
			t.Errorf("the ignored insert affects %d, %v", n, err)
		}
		if _, err := db.NewInsert().Model(&author{Name: "b"}).Exec(ctx); err == nil {
			t.Error("a second b was inserted")
		}

		// A soft delete is an update, and the row is no longer seen.
		if n, err := affected(db.NewDelete().Model((*author)(nil)).Where("rating > ?", 20).Exec(ctx)); n != 1 || err != nil {
			t.Errorf("the soft delete affects %d, %v", n, err)
		}
		var ratings []float64
		if err := db.NewSelect().Model((*author)(nil)).Column("rating").Order("name").Scan(ctx, &ratings); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(ratings, []float64{10, 7}) {
			t.Errorf("the ratings are %v", ratings)
		}
		if n, err := db.NewSelect().Model((*author)(nil)).WhereDeleted().Count(ctx); n != 1 || err != nil {
			t.Errorf("%d are deleted, %v", n, err)
		}
		var gone []author
		if n, err := affected(db.NewDelete().Model(&gone).Where("name IN (?)", bun.List([]string{"a", "b"})).ForceDelete().Returning("*").Exec(ctx)); n != 2 || err != nil || len(gone) != 2 {
			t.Errorf("the delete affects %d and returns %+v, %v", n, gone, err)
		}
		if ok, err := db.NewSelect().Model((*author)(nil)).Exists(ctx); ok || err != nil {
			t.Errorf("Exists = %v, %v", ok, err)
		}
		if err := db.NewSelect().Model(&author{}).Where("id = 99").Scan(ctx); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("a Scan of nobody: %v", err)
		}
	})
}

func TestManyRows(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *bun.DB) {
		const rows = 3000
		authors := make([]author, rows)
		for i := range authors {
			authors[i] = author{Name: fmt.Sprintf("author %d", i), Rating: float64(i) + 0.25, Photo: []byte{byte(i), 0}}
		}
		if n, err := insert(ctx, t, db, &authors).RowsAffected(); n != rows || err != nil {
			t.Errorf("%d rows affected, %v", n, err)
		}
		rs, err := db.NewSelect().Model((*author)(nil)).Order("id").Rows(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer rs.Close()
		seen := 0
		for ; rs.Next(); seen++ {
			var a author
			if err := db.ScanRow(ctx, rs, &a); err != nil {
				t.Fatal(err)
			}
			if want := authors[seen]; a.ID != want.ID || a.Name != want.Name || a.Rating != want.Rating || !bytes.Equal(a.Photo, want.Photo) {
				t.Fatalf("row %d is %+v, want %+v", seen, a, want)
			}
		}
		if err := rs.Err(); err != nil || seen != rows {
			t.Errorf("%d rows, %v", seen, err)
		}
	})
}

func TestTransactions(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *bun.DB) {
		oops := errors.New("oops")
		err := db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			insert(ctx, t, tx, &author{Name: "gone"})
			return oops
		})
		if !errors.Is(err, oops) {
			t.Errorf("RunInTx gives %v", err)
		}
		err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			insert(ctx, t, tx, &author{Name: "outer"})
			// A transaction inside is a savepoint.
			if err := tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
				insert(ctx, t, tx, &author{Name: "inner, gone"})
				return oops
			}); !errors.Is(err, oops) {
				t.Errorf("the inner RunInTx gives %v", err)
			}
			return tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
				insert(ctx, t, tx, &author{Name: "inner"})
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		if err := db.NewSelect().Model((*author)(nil)).Column("name").Order("id").Scan(ctx, &names); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(names, []string{"outer", "inner"}) {
			t.Errorf("afterwards: %q", names)
		}
	})
}
